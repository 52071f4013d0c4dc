import { row } from "./error-row.ts";

type Named = { image: string; reason: string };

/** What can go wrong with container images and engines: a part of the catalogue in errors.ts. */
export const imageErrors = {
  "image.not-found": row<Named>({
    status: 404,
    exit: 1,
    message: (p) => `image ${p.image} is not there: ${p.reason}`,
    hint: (p) =>
      /(^|\/)fuseml\//.test(p.image)
        ? "FuseML's own step images are made with: npm run images"
        : "check its name and tag; say which image is meant here in images.yaml of the data directory (docs/containers.md)",
  }),
  "image.denied": row<Named>({
    status: 403,
    exit: 1,
    message: (p) => `image ${p.image} may not be pulled: ${p.reason}`,
    hint: () =>
      "log in with: docker login REGISTRY (or podman login), as the user that runs the server; a name that does not exist is answered the same way by some registries",
  }),
  "image.wrong-architecture": row<{ image: string; architecture: string; reason: string }>({
    status: 500,
    exit: 1,
    message: (p) => `image ${p.image} is made for ${p.architecture} processors: ${p.reason}`,
    hint: () => "build it for this machine, or for several: docker buildx build --platform linux/amd64,linux/arm64",
  }),
  "image.registry-unreachable": row<Named>({
    status: 502,
    exit: 1,
    message: (p) => `the registry of image ${p.image} does not answer: ${p.reason}`,
    hint: () => "when it is there again: fuseml run resume RUN",
    temporary: true,
  }),
  "image.not-pulled": row<Named>({
    status: 502,
    exit: 1,
    message: (p) => `image ${p.image} could not be pulled: ${p.reason}`,
    hint: () => "when the reason is gone: fuseml run resume RUN",
  }),
  "image.entrypoint": row<Named>({
    status: 500,
    exit: 1,
    message: (p) => `image ${p.image} could not be started, its command is not there or cannot be run: ${p.reason}`,
    hint: () => "an image that is a step has an ENTRYPOINT or CMD that exists in it and may be executed",
  }),
  "container.not-started": row<Named>({
    status: 500,
    exit: 1,
    message: (p) => `a container of image ${p.image} could not be started: ${p.reason}`,
    hint: () => "when the reason is gone: fuseml run resume RUN",
  }),
  "container.engine-gone": row<{ reason: string }>({
    status: 503,
    exit: 1,
    message: (p) => `the container engine does not answer as it should: ${p.reason}`,
    hint: () => "start it again, then: fuseml run resume RUN",
    temporary: true,
  }),
  "container.no-engine": row<{ tried: string }>({
    status: 500,
    exit: 1,
    message: (p) => `no container engine answers${p.tried ? ` (${p.tried})` : ""}`,
    hint: () =>
      "start Docker or `podman system service`, say where with FUSEML_CONTAINER_ENGINE=unix:///PATH, or use FUSEML_AGENTS=host",
  }),
  "registry.none": row({
    status: 404,
    exit: 3,
    message: () => "this server keeps no registry",
    hint: () =>
      "it keeps one when steps run in containers and a registry program is there: apt-get install docker-registry",
  }),
  "registry.unreachable": row<{ address: string; reason: string }>({
    status: 502,
    exit: 5,
    message: (p) => `the registry at ${p.address} does not answer as it should: ${p.reason}`,
    hint: () => "its log is registry.log in `processes` of the data directory; try again in some seconds",
    temporary: true,
  }),
  "registry.port-in-use": row<{ port: number }>({
    status: 500,
    exit: 1,
    message: (p) => `the built-in registry cannot have port ${p.port}: another program answers there`,
    hint: (p) =>
      `another port: FUSEML_REGISTRY_PORT; or use what answers there as your registry: FUSEML_REGISTRY=127.0.0.1:${p.port}`,
  }),
  "container.host-image": row<{ step: string; image: string }>({
    status: 400,
    exit: 2,
    message: (p) => `step "${p.step}": ${p.image} is an environment of the host agent, no container image`,
    hint: () => "run the step that built it in a container, too: give both the same zone",
  }),
  "step.out-of-memory": row<{ limit: string; sure: boolean }>({
    status: 500,
    exit: 1,
    message: (p) =>
      p.sure
        ? `the step used more than its memory limit${p.limit} and was killed by the kernel`
        : `the step was killed (SIGKILL), most likely because it used more than its memory limit${p.limit}`,
    hint: () => "give it more: resources: {limits: {memory: 2Gi}}",
  }),
  "step.too-large": row<{ step: string; reason: string }>({
    status: 400,
    exit: 2,
    message: (p) => `step "${p.step}" cannot run on this machine: ${p.reason}`,
    hint: () => "ask for less in resources.requests, or run it in another zone",
  }),
} as const;
