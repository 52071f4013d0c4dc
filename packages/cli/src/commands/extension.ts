import { readFileSync } from "node:fs";
import { FuseError, failure } from "@fuseml/core/errors";
import type { Command } from "commander";
import { parse } from "yaml";
import { type Column, printList, printValue } from "../output.ts";
import { Progress } from "../progress.ts";
import { action, keyValues, listOptions, type Session, valueOptions, withExample } from "../session.ts";
import { addExtensionPartCommands, configurationOption } from "./extension-parts.ts";

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
  addExtensionPartCommands(extension);
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
