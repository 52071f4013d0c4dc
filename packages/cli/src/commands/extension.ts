import { readFileSync } from "node:fs";
import { FuseError, failure } from "@fuseml/core/errors";
import type { Command } from "commander";
import { parse } from "yaml";
import { type Column, printList, printValue } from "../output.ts";
import { Progress } from "../progress.ts";
import { action, collect, keyValues, listOptions, type Session, valueOptions, withExample } from "../session.ts";

type About = {
  id?: string;
  desc?: string;
  product?: string;
  version?: string;
  zone?: string;
  configuration?: string[];
  file?: string;
  format: string;
};

const configurationOption = (command: Command): Command =>
  command.option("-c, --configuration <key:value>", "a variable for the steps; may be repeated", collect);
const aboutOptions = (command: Command): Command =>
  configurationOption(
    command
      .option("--id <id>")
      .option("--desc <text>")
      .option("-p, --product <product>")
      .option("--version <version>")
      .option("-z, --zone <zone>"),
  );

function about(options: About) {
  return {
    ...(options.id ? { id: options.id } : {}),
    ...(options.desc !== undefined ? { description: options.desc } : {}),
    ...(options.product !== undefined ? { product: options.product } : {}),
    ...(options.version !== undefined ? { version: options.version } : {}),
    ...(options.zone !== undefined ? { zone: options.zone } : {}),
    ...(options.configuration ? { configuration: keyValues(options.configuration, "--configuration") } : {}),
  };
}

export function addExtensionCommands(program: Command): void {
  const extension = program
    .command("extension")
    .alias("ext")
    .description("third-party tools: their endpoints and credentials");
  bundleCommands(extension);
  recordCommands(extension);
  serviceCommands(extension);
  endpointCommands(extension);
  credentialsCommands(extension);
}

function bundleCommands(extension: Command): void {
  withExample(
    extension
      .command("install <bundle>")
      .description("install a bundle: start the tool on this server and register it"),
    "fuseml extension install mlflow",
  ).action(
    action(async (session, _options, [name = ""]) => {
      const id = await installBundle(session, name);
      session.terminal.out(`Extension ${id} is installed and answers\n`);
    }),
  );
  withExample(
    extension
      .command("uninstall <bundle>")
      .description("stop an installed bundle and remove its record; its data stays"),
    "fuseml extension uninstall mlflow",
  ).action(
    action(async ({ client, terminal }, _options, [name = ""]) => {
      await client.call("DELETE /bundles/{name}", { params: { name } });
      terminal.out(`Extension ${name} uninstalled\n`);
    }),
  );
  withExample(
    listOptions(extension.command("bundles").description("list what can be installed")),
    "fuseml extension bundles",
  ).action(
    action<{ format: string; field?: string[] }>(async ({ client, terminal }, options) => {
      printList(
        terminal,
        await client.call("GET /bundles"),
        [
          { title: "Name", text: (of) => of.name },
          { title: "Installed", text: (of) => (of.installed ? "yes" : "no") },
        ],
        options,
      );
    }),
  );
}

/** Installs a bundle and shows how it goes. @returns the id of its record */
export async function installBundle(
  { client, terminal }: Pick<Session, "client" | "terminal">,
  name: string,
  label = `installing ${name}`,
): Promise<string> {
  const progress = new Progress(terminal);
  progress.start(label);
  try {
    for await (const { event, data } of client.stream("POST /bundles/{name}/install", { params: { name } })) {
      const { message, code, hint } = data as { message: string; code?: string; hint?: string };
      if (event === "progress") progress.note(message);
      else if (event === "failed")
        throw new FuseError({ code: code ?? "extension.install-failed", status: 500, exit: 1, message, hint });
      else if (event === "installed") return message;
    }
  } finally {
    progress.clear();
  }
  throw failure("extension.install-failed", { name, reason: "the server hung up" });
}

type Listed = {
  format: string;
  field?: string[];
  id?: string;
  product?: string;
  version?: string;
  zone?: string;
  serviceId?: string;
  serviceResource?: string;
  serviceCategory?: string;
};

function recordCommands(extension: Command): void {
  withExample(
    valueOptions(
      aboutOptions(
        extension
          .command("register")
          .description("register an extension, from a file or from options")
          .option("-f, --file <file>", "YAML or JSON record, with services, endpoints and credentials"),
      ),
    ),
    "fuseml extension register --id my-mlflow --product mlflow --version 3.1 -c MLFLOW_TRACKING_URI:http://mlflow:5000",
  ).action(
    action<About>(async ({ client, terminal }, options) => {
      const body = options.file ? { ...readRecord(options.file), ...about(options) } : about(options);
      const registered = await client.call("POST /extensions", { body });
      if (options.format === "yaml") terminal.out(`Extension ${registered.id} successfully registered\n`);
      else printValue(terminal, registered, options.format);
    }),
  );
  withExample(
    listOptions(extension.command("list").alias("ls").description("list extensions"))
      .option("--id <id>")
      .option("-p, --product <product>")
      .option("--version <version>", "a version or a constraint")
      .option("-z, --zone <zone>")
      .option("--service-id <id>")
      .option("-r, --service-resource <resource>")
      .option("-c, --service-category <category>"),
    "fuseml extension list --service-resource s3",
  ).action(
    action<Listed>(async ({ client, terminal }, options) => {
      const pick = {
        extension_id: options.id,
        product: options.product,
        version: options.version,
        zone: options.zone,
        service_id: options.serviceId,
        service_resource: options.serviceResource,
        service_category: options.serviceCategory,
      };
      const extensions = await client.call("GET /extensions", {
        query: Object.fromEntries(Object.entries(pick).filter(([, value]) => value)),
      });
      type Item = (typeof extensions)[number];
      const columns: Column<Item>[] = [
        { title: "ID", text: (of) => of.id },
        { title: "Product", text: (of) => of.product },
        { title: "Version", text: (of) => of.version },
        { title: "Zone", text: (of) => of.zone },
        {
          title: "Services",
          text: (of) => of.services.map((service) => `${service.id} (${service.resource})`).join("\n"),
        },
        {
          title: "Endpoints",
          text: (of) => of.services.flatMap((service) => service.endpoints.map((endpoint) => endpoint.url)).join("\n"),
        },
        { title: "Credentials", text: (of) => String(of.services.flatMap((service) => service.credentials).length) },
      ];
      printList(terminal, extensions, columns, options);
    }),
  );
  withExample(
    valueOptions(extension.command("get <extension>").description("show an extension; secrets are hidden")),
    "fuseml extension get mlflow-local",
  ).action(
    action<{ format: string }>(async ({ client, terminal }, options, [id = ""]) => {
      printValue(terminal, await client.call("GET /extensions/{id}", { params: { id } }), options.format);
    }),
  );
  withExample(
    valueOptions(
      aboutOptions(
        extension.command("update <extension>").description("change an extension").option("-f, --file <file>"),
      ),
    ),
    "fuseml extension update my-mlflow --version 3.2",
  ).action(
    action<About>(async ({ client, terminal }, options, [id = ""]) => {
      const body = options.file ? { ...readRecord(options.file), ...about(options) } : about(options);
      await client.call("PUT /extensions/{id}", { params: { id }, body });
      terminal.out(`Extension ${id} successfully updated\n`);
    }),
  );
  withExample(
    extension.command("delete <extension>").alias("rm").description("delete an extension's record"),
    "fuseml extension delete my-mlflow",
  ).action(
    action(async ({ client, terminal }, _options, [id = ""]) => {
      await client.call("DELETE /extensions/{id}", { params: { id } });
      terminal.out(`Extension ${id} successfully deleted\n`);
    }),
  );
}

type ServiceOptions = {
  id?: string;
  desc?: string;
  resource?: string;
  category?: string;
  authRequired?: boolean;
  configuration?: string[];
  format: string;
  field?: string[];
};
const serviceOptions = (command: Command): Command =>
  configurationOption(
    command
      .option("--id <id>")
      .option("--desc <text>")
      .option("-r, --resource <resource>")
      .option("--category <category>")
      .option("--auth-required", "credentials are needed"),
  );
const serviceBody = (options: ServiceOptions) => ({
  ...(options.id ? { id: options.id } : {}),
  ...(options.desc !== undefined ? { description: options.desc } : {}),
  ...(options.resource !== undefined ? { resource: options.resource } : {}),
  ...(options.category !== undefined ? { category: options.category } : {}),
  ...(options.authRequired !== undefined ? { auth_required: options.authRequired } : {}),
  ...(options.configuration ? { configuration: keyValues(options.configuration, "--configuration") } : {}),
});

function serviceCommands(extension: Command): void {
  const service = extension.command("service").description("services of an extension");
  withExample(
    serviceOptions(service.command("add <extension>").description("add a service")),
    "fuseml extension service add my-mlflow --resource mlflow-tracking",
  ).action(
    action<ServiceOptions>(async ({ client, terminal }, options, [extension_id = ""]) => {
      const added = await client.call("POST /extensions/{extension_id}/services", {
        params: { extension_id },
        body: serviceBody(options),
      });
      terminal.out(`Service ${added.id} successfully added to extension ${extension_id}\n`);
    }),
  );
  withExample(
    listOptions(service.command("list <extension>").alias("ls").description("list services")),
    "fuseml extension service list my-mlflow",
  ).action(
    action<ServiceOptions>(async ({ client, terminal }, options, [extension_id = ""]) => {
      const services = await client.call("GET /extensions/{extension_id}/services", { params: { extension_id } });
      printList(
        terminal,
        services,
        [
          { title: "ID", text: (of) => of.id },
          { title: "Resource", text: (of) => of.resource },
          { title: "Category", text: (of) => of.category },
          { title: "Auth", text: (of) => (of.auth_required ? "required" : "") },
          { title: "Endpoints", text: (of) => of.endpoints.map((endpoint) => endpoint.url).join("\n") },
          { title: "Credentials", text: (of) => of.credentials.map((entry) => entry.id).join(", ") },
        ],
        options,
      );
    }),
  );
  withExample(
    serviceOptions(service.command("update <extension> <service>").description("change a service")),
    "fuseml extension service update my-mlflow mlflow-tracking --desc 'the team's'",
  ).action(
    action<ServiceOptions>(async ({ client, terminal }, options, [extension_id = "", id = ""]) => {
      await client.call("PUT /extensions/{extension_id}/services/{id}", {
        params: { extension_id, id },
        body: serviceBody(options),
      });
      terminal.out(`Service ${id} successfully updated\n`);
    }),
  );
  withExample(
    service.command("delete <extension> <service>").alias("rm").description("delete a service"),
    "fuseml extension service delete my-mlflow mlflow-tracking",
  ).action(
    action(async ({ client, terminal }, _options, [extension_id = "", id = ""]) => {
      await client.call("DELETE /extensions/{extension_id}/services/{id}", { params: { extension_id, id } });
      terminal.out(`Service ${id} successfully deleted\n`);
    }),
  );
}

type EndpointOptions = { type?: "internal" | "external"; configuration?: string[]; format: string; field?: string[] };
const endpointBody = (options: EndpointOptions) => ({
  ...(options.type ? { type: options.type } : {}),
  ...(options.configuration ? { configuration: keyValues(options.configuration, "--configuration") } : {}),
});

function endpointCommands(extension: Command): void {
  const endpoint = extension.command("endpoint").description("endpoints of a service");
  const options = (command: Command) =>
    configurationOption(command.option("--type <type>", "internal (its own zone only) or external"));
  withExample(
    options(endpoint.command("add <extension> <service> <url>").description("add an endpoint")),
    "fuseml extension endpoint add my-mlflow mlflow-tracking http://mlflow:5000",
  ).action(
    action<EndpointOptions>(async ({ client, terminal }, given, [extension_id = "", service_id = "", url = ""]) => {
      await client.call("POST /extensions/{extension_id}/services/{service_id}/endpoints", {
        params: { extension_id, service_id },
        body: { url, ...endpointBody(given) },
      });
      terminal.out(`Endpoint ${url} successfully added\n`);
    }),
  );
  withExample(
    listOptions(endpoint.command("list <extension> <service>").alias("ls").description("list endpoints")),
    "fuseml extension endpoint list my-mlflow mlflow-tracking",
  ).action(
    action<EndpointOptions>(async ({ client, terminal }, given, [extension_id = "", service_id = ""]) => {
      const endpoints = await client.call("GET /extensions/{extension_id}/services/{service_id}/endpoints", {
        params: { extension_id, service_id },
      });
      printList(
        terminal,
        endpoints,
        [
          { title: "URL", text: (of) => of.url },
          { title: "Type", text: (of) => of.type },
          {
            title: "Configuration",
            text: (of) =>
              Object.entries(of.configuration)
                .map(([key, value]) => `${key}: ${value}`)
                .join("\n"),
          },
        ],
        given,
      );
    }),
  );
  withExample(
    options(endpoint.command("update <extension> <service> <url>").description("change an endpoint")),
    "fuseml extension endpoint update my-mlflow mlflow-tracking http://mlflow:5000 --type internal",
  ).action(
    action<EndpointOptions>(async ({ client, terminal }, given, [extension_id = "", service_id = "", url = ""]) => {
      await client.call("PUT /extensions/{extension_id}/services/{service_id}/endpoints/{url}", {
        params: { extension_id, service_id, url },
        body: endpointBody(given),
      });
      terminal.out(`Endpoint ${url} successfully updated\n`);
    }),
  );
  withExample(
    endpoint.command("delete <extension> <service> <url>").alias("rm").description("delete an endpoint"),
    "fuseml extension endpoint delete my-mlflow mlflow-tracking http://mlflow:5000",
  ).action(
    action(async ({ client, terminal }, _given, [extension_id = "", service_id = "", url = ""]) => {
      await client.call("DELETE /extensions/{extension_id}/services/{service_id}/endpoints/{url}", {
        params: { extension_id, service_id, url },
      });
      terminal.out(`Endpoint ${url} successfully deleted\n`);
    }),
  );
}

type CredentialsOptions = {
  id?: string;
  scope?: "global" | "project" | "user";
  proj?: string[];
  user?: string[];
  configuration?: string[];
  format: string;
  field?: string[];
};
const credentialsOptions = (command: Command): Command =>
  configurationOption(
    command
      .option("--id <id>")
      .option("--scope <scope>", "global, project or user")
      .option("--proj <project>", "may be repeated", collect)
      .option("--user <user>", "may be repeated", collect),
  );
const credentialsBody = (options: CredentialsOptions) => ({
  ...(options.id ? { id: options.id } : {}),
  ...(options.scope ? { scope: options.scope } : {}),
  ...(options.proj ? { projects: options.proj } : {}),
  ...(options.user ? { users: options.user } : {}),
  ...(options.configuration ? { configuration: keyValues(options.configuration, "--configuration") } : {}),
});

function credentialsCommands(extension: Command): void {
  const credentials = extension.command("credentials").description("credentials of a service");
  withExample(
    credentialsOptions(credentials.command("add <extension> <service>").description("add credentials")),
    "fuseml extension credentials add my-mlflow store --scope project --proj wines -c AWS_ACCESS_KEY_ID:wines",
  ).action(
    action<CredentialsOptions>(async ({ client, terminal }, options, [extension_id = "", service_id = ""]) => {
      const added = await client.call("POST /extensions/{extension_id}/services/{service_id}/credentials", {
        params: { extension_id, service_id },
        body: credentialsBody(options),
      });
      terminal.out(`Credentials ${added.id} successfully added\n`);
    }),
  );
  withExample(
    listOptions(
      credentials.command("list <extension> <service>").alias("ls").description("list credentials; values are hidden"),
    ),
    "fuseml extension credentials list my-mlflow store",
  ).action(
    action<CredentialsOptions>(async ({ client, terminal }, options, [extension_id = "", service_id = ""]) => {
      const all = await client.call("GET /extensions/{extension_id}/services/{service_id}/credentials", {
        params: { extension_id, service_id },
      });
      printList(
        terminal,
        all,
        [
          { title: "ID", text: (of) => of.id },
          { title: "Scope", text: (of) => of.scope },
          { title: "Projects", text: (of) => of.projects.join(", ") },
          { title: "Users", text: (of) => of.users.join(", ") },
          {
            title: "Configuration",
            text: (of) =>
              Object.entries(of.configuration)
                .map(([key, value]) => `${key}: ${value}`)
                .join("\n"),
          },
        ],
        options,
      );
    }),
  );
  withExample(
    credentialsOptions(
      credentials.command("update <extension> <service> <credentials>").description("change credentials"),
    ),
    "fuseml extension credentials update my-mlflow store default --scope global",
  ).action(
    action<CredentialsOptions>(async ({ client, terminal }, options, [extension_id = "", service_id = "", id = ""]) => {
      await client.call("PUT /extensions/{extension_id}/services/{service_id}/credentials/{id}", {
        params: { extension_id, service_id, id },
        body: credentialsBody(options),
      });
      terminal.out(`Credentials ${id} successfully updated\n`);
    }),
  );
  withExample(
    credentials.command("delete <extension> <service> <credentials>").alias("rm").description("delete credentials"),
    "fuseml extension credentials delete my-mlflow store default",
  ).action(
    action(async ({ client, terminal }, _options, [extension_id = "", service_id = "", id = ""]) => {
      await client.call("DELETE /extensions/{extension_id}/services/{service_id}/credentials/{id}", {
        params: { extension_id, service_id, id },
      });
      terminal.out(`Credentials ${id} successfully deleted\n`);
    }),
  );
}

function readRecord(file: string): Record<string, unknown> {
  try {
    return parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch (error) {
    throw failure(
      "request.invalid",
      { message: `${file} cannot be read: ${(error as Error).message}` },
      { cause: error },
    );
  }
}
