/** What the text of an image build depends on. */
export type RuntimeImage = {
  /** Holds FuseML's programs. */
  readonly runtimeImage: string;
  /** What the runtime is built on; nothing when FuseML's own is meant. */
  readonly baseImage: string | undefined;
  /** Of the environment. */
  readonly fingerprint: string;
  /** Whether a file of certificates is in the context. */
  readonly certificates: boolean;
  /** Names of build arguments: where packages come from, how the network is reached. */
  readonly args: readonly string[];
};

const home = "/opt/fuseml";
const environments = "/opt/fuseml-environments";
const steps = `${home}/packages/steps/src`;
/** Labels what builds leave on the way, so that it can be found and removed. */
export const stageLabel = "dev.fuseml.build";
export const contextFiles = { project: "project", request: "request.json", certificates: "certificates.crt" } as const;

/**
 * The text of the build: the environment is made in a stage of its own, and only it goes into the image. Neither the code nor
 * certificates nor build arguments stay.
 */
export function containerfile({ runtimeImage, baseImage, fingerprint, certificates, args }: RuntimeImage): string {
  const trust = certificates
    ? ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PIP_CERT"].map((name) => `${name}=/tmp/${contextFiles.certificates}`)
    : [];
  const copyPrograms = [
    `COPY --from=fuseml ${home} ${home}`,
    // Node needs it, and not every base has it
    `COPY --from=fuseml /usr/lib/*-linux-gnu/libatomic.so.1 ${home}/lib/`,
    `ENV LD_LIBRARY_PATH=${home}/lib`,
  ];
  const from = (stage: string): string[] =>
    baseImage === undefined ? [`FROM ${runtimeImage}${stage}`] : [`FROM ${baseImage}${stage}`, ...copyPrograms];
  const lines = [
    ...(baseImage === undefined ? [] : [`FROM ${runtimeImage} AS fuseml`]),
    ...from(" AS environment"),
    "USER 0",
    `LABEL ${stageLabel}=${fingerprint}`,
    ...args.map((name) => `ARG ${name}`),
    `COPY ${contextFiles.project} /project`,
    `COPY ${contextFiles.request} /tmp/${contextFiles.request}`,
    ...(certificates ? [`COPY ${contextFiles.certificates} /tmp/${contextFiles.certificates}`] : []),
    "WORKDIR /project",
    `RUN ${[...trust, "HOME=/root", `${home}/bin/node`, `${steps}/mlflow-builder/make-environment.ts`, `/tmp/${contextFiles.request}`, environments].join(" ")}`,
    ...from(""),
    `COPY --from=environment ${environments} ${environments}`,
    `ENV FUSEML_ENVIRONMENT=${fingerprint} FUSEML_ENVIRONMENTS_DIR=${environments} HOME=/home/fuseml USER=fuseml LOGNAME=fuseml`,
    ...(baseImage === undefined
      ? []
      : ["USER 0", "RUN mkdir -p /home/fuseml /project && chown 1000:1000 /home/fuseml /project"]),
    "USER 1000:1000",
    "WORKDIR /project",
    `ENTRYPOINT ["${home}/bin/node", "${steps}/mlflow-runtime/main.ts"]`,
    "CMD []",
    "",
  ];
  return lines.join("\n");
}
