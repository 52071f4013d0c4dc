/** `npm run images`: makes FuseML's base image and step images, and pushes them to a registry. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { FuseError } from "@fuseml/core/errors";
import { imageCache, publishImages } from "./publish.ts";

const { values } = parseArgs({
  options: {
    registry: { type: "string", default: "127.0.0.1:30500" },
    prefix: { type: "string", default: "fuseml" },
    help: { type: "boolean", short: "h" },
  },
});

if (values.help) {
  process.stdout.write(
    "npm run images -- [--registry HOST:PORT] [--prefix fuseml]\n\nMakes FuseML's step images and pushes them. " +
      "A registry that asks for a login gets FUSEML_REGISTRY_LOGIN=user:password.\n" +
      "Example: npm run images -- --registry registry.example.org --prefix ml/fuseml\n",
  );
} else {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const login = process.env.FUSEML_REGISTRY_LOGIN;
  try {
    const pushed = await publishImages({
      directory: imageCache(process.env),
      version,
      say: (line) => process.stderr.write(`${line}\n`),
      prefix: values.prefix,
      target: { registry: values.registry, ...(login ? { login } : {}) },
    });
    for (const { name, digest } of pushed) process.stdout.write(`${name}@${digest}\n`);
  } catch (error) {
    if (!(error instanceof FuseError)) throw error;
    process.stderr.write(`error: ${error.message}\n${error.hint ? `    ${error.hint}\n` : ""}    [${error.code}]\n`);
    process.exitCode = error.exit;
  }
}
