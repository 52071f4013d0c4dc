import type { Command } from "commander";
import { printList } from "../output.ts";
import { action, collect, keyValues, listOptions, withExample } from "../session.ts";

/** `-c/--configuration`, of every part of an extension. */
export const configurationOption = (command: Command): Command =>
  command.option("-c, --configuration <key:value>", "a variable for the steps; may be repeated", collect);

/** The commands for the services of an extension, their endpoints and credentials. */
export function addExtensionPartCommands(extension: Command): void {
  serviceCommands(extension);
  endpointCommands(extension);
  credentialsCommands(extension);
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
/** As the original client has them: `-c` is the category here. */
const serviceOptions = (command: Command): Command =>
  command
    .option("--id <id>")
    .option("--desc <text>")
    .option("-r, --resource <resource>")
    .option("-c, --category <category>")
    .option("--auth-required", "credentials are needed")
    .option("--configuration <key:value>", "a variable for the steps; may be repeated", collect);
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
