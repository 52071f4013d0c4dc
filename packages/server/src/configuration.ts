import { availableParallelism, homedir } from "node:os";
import { join } from "node:path";
import { failure } from "@fuseml/core/errors";
import { z } from "zod";

const schema = z.object({
  FUSEML_HOST: z
    .string()
    .default("127.0.0.1")
    .meta({ description: "address to listen on; other than loopback asks for FUSEML_AUTH=token" }),
  FUSEML_PORT: z.coerce.number().int().min(0).max(65535).default(8000),
  FUSEML_DATA_DIR: z.string().optional().meta({ description: "everything the server keeps" }),
  FUSEML_PUBLIC_URL: z.url().optional().meta({ description: "how others reach the server" }),
  FUSEML_AUTH: z
    .enum(["open", "token"])
    .optional()
    .meta({ description: "open: everyone on this machine; token: an API token is asked for" }),
  FUSEML_SECRET_KEY: z
    .string()
    .optional()
    .meta({ description: "32 bytes, base64; else a key file in the data directory" }),
  FUSEML_LOG_LEVEL: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  FUSEML_HOST_PARALLELISM: z.coerce
    .number()
    .int()
    .min(1)
    .optional()
    .meta({ description: "steps that the host agent runs at once; default 4 for each core, at least 8" }),
  FUSEML_ZONE: z.string().default("local").meta({ description: "what `zone` in a workflow calls this machine" }),
  FUSEML_LOG_LIMIT_MB: z.coerce
    .number()
    .int()
    .min(1)
    .default(256)
    .meta({ description: "a step that prints more is ended" }),
  FUSEML_DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "postgres://USER@HOST/DATABASE is asked for")
    .optional()
    .meta({ description: "PostgreSQL, for several replicas; default a SQLite file in the data directory" }),
  FUSEML_LEASE_SECONDS: z.coerce
    .number()
    .min(1)
    .max(60)
    .default(5)
    .meta({ description: "a replica that is not heard of for so long loses its runs to another one" }),
  FUSEML_KEEP_DAYS: z.coerce
    .number()
    .min(0)
    .optional()
    .meta({ description: "ended runs are removed after so many days" }),
  FUSEML_AGENTS: z
    .string()
    .regex(/^(host|container)(,(host|container))*$/, "a list of host and container")
    .optional()
    .meta({
      description:
        "where steps run, the preferred one first; default container,host with a container engine, else host",
    }),
  FUSEML_CONTAINER_ENGINE: z.string().optional().meta({
    description: "unix:///PATH or tcp://HOST:PORT of a Docker Engine API; default DOCKER_HOST, then the usual sockets",
  }),
  FUSEML_CONTAINER_ZONE: z
    .string()
    .default("container")
    .meta({ description: "what `zone` calls the container engine" }),
  FUSEML_CONTAINER_PARALLELISM: z.coerce.number().int().min(1).optional().meta({
    description: "steps that run in containers at once; default 2 for each core",
  }),
  FUSEML_CONTAINER_NETWORK: z
    .string()
    .default("host")
    .meta({ description: "host, bridge, none or a network's name: what steps in containers reach" }),
  FUSEML_PULL_POLICY: z
    .enum(["missing", "always"])
    .default("missing")
    .meta({ description: "always: look for a newer image behind :latest before each step" }),
  FUSEML_REGISTRY: z
    .string()
    .regex(/^(embedded|none|[A-Za-z0-9.-]+(:\d+)?)$/, "embedded, none, or HOST:PORT")
    .default("embedded")
    .meta({ description: "the registry that builders push to" }),
  FUSEML_REGISTRY_PORT: z.coerce.number().int().min(1).max(65535).default(30500),
  FUSEML_IMAGE_REGISTRY: z
    .string()
    .optional()
    .meta({ description: "where FuseML's own step images are; default REGISTRY/fuseml" }),
  FUSEML_BASE_IMAGE: z
    .string()
    .optional()
    .meta({ description: "what images are built on that name no base; default FuseML's own base" }),
  FUSEML_CA_BUNDLE: z
    .string()
    .optional()
    .meta({ description: "a file of certificates that steps in containers trust; default SSL_CERT_FILE" }),
  FUSEML_NAMESPACE: z.string().default("fuseml-workloads"),
});

export type Configuration = {
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly publicUrl: string | undefined;
  readonly auth: "open" | "token";
  readonly secretKey: string | undefined;
  readonly logLevel: string;
  readonly namespace: string;
  readonly hostParallelism: number;
  readonly zone: string;
  readonly logLimitBytes: number;
  readonly databaseUrl: string | undefined;
  readonly leaseMs: number;
  readonly keepDays: number | undefined;
  readonly agents: readonly ("host" | "container")[] | undefined;
  readonly containers: ContainerConfiguration;
};

/** What concerns containers only. */
export type ContainerConfiguration = {
  readonly zone: string;
  readonly parallelism: number;
  readonly network: string;
  readonly pullPolicy: "missing" | "always";
  readonly registry: string;
  readonly registryPort: number;
  readonly imageRegistry: string | undefined;
  readonly baseImage: string | undefined;
  readonly caBundle: string | undefined;
};

const loopback = new Set(["127.0.0.1", "localhost", "::1"]);

/** Where the server keeps everything unless it is told otherwise. */
export const defaultDataDir = (env: NodeJS.ProcessEnv): string =>
  env.FUSEML_DATA_DIR || join(env.XDG_DATA_HOME || join(env.HOME || homedir(), ".local", "share"), "fuseml");

/** The configuration from the environment, checked. @throws `server.configuration` */
export function readConfiguration(env: NodeJS.ProcessEnv): Configuration {
  const parsed = schema.safeParse(env);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw failure("server.configuration", { name: String(issue?.path[0]), reason: issue?.message ?? "not valid" });
  }
  const given = parsed.data;
  const local = loopback.has(given.FUSEML_HOST);
  if (given.FUSEML_AUTH === "open" && !local) {
    throw failure("server.configuration", {
      name: "FUSEML_AUTH",
      reason: `a server that listens on ${given.FUSEML_HOST} must ask for tokens: FUSEML_AUTH=token`,
    });
  }
  return {
    host: given.FUSEML_HOST,
    port: given.FUSEML_PORT,
    dataDir: defaultDataDir(env),
    publicUrl: given.FUSEML_PUBLIC_URL,
    auth: given.FUSEML_AUTH ?? (local ? "open" : "token"),
    secretKey: given.FUSEML_SECRET_KEY,
    logLevel: given.FUSEML_LOG_LEVEL,
    namespace: given.FUSEML_NAMESPACE,
    hostParallelism: given.FUSEML_HOST_PARALLELISM ?? Math.max(8, 4 * availableParallelism()),
    zone: given.FUSEML_ZONE,
    logLimitBytes: given.FUSEML_LOG_LIMIT_MB * 1024 * 1024,
    databaseUrl: given.FUSEML_DATABASE_URL,
    leaseMs: given.FUSEML_LEASE_SECONDS * 1000,
    keepDays: given.FUSEML_KEEP_DAYS,
    agents: given.FUSEML_AGENTS?.split(",") as Configuration["agents"],
    containers: {
      zone: given.FUSEML_CONTAINER_ZONE,
      parallelism: given.FUSEML_CONTAINER_PARALLELISM ?? Math.max(4, 2 * availableParallelism()),
      network: given.FUSEML_CONTAINER_NETWORK,
      pullPolicy: given.FUSEML_PULL_POLICY,
      registry: given.FUSEML_REGISTRY,
      registryPort: given.FUSEML_REGISTRY_PORT,
      imageRegistry: given.FUSEML_IMAGE_REGISTRY,
      baseImage: given.FUSEML_BASE_IMAGE,
      caBundle: given.FUSEML_CA_BUNDLE ?? env.SSL_CERT_FILE,
    },
  };
}
