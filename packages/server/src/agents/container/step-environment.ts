import { readFileSync } from "node:fs";

/** What every step in a container gets beside its own variables. */
export type StepEnvironment = {
  readonly env: Readonly<Record<string, string>>;
  /** Files that are put into the container, by their path there. */
  readonly files: Readonly<Record<string, Buffer>>;
};

const certificates = "/etc/fuseml/certificates.crt";
/** What tools of several languages ask for their certificates. */
const certificateVariables = [
  "SSL_CERT_FILE",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "NODE_EXTRA_CA_CERTS",
  "PIP_CERT",
  "AWS_CA_BUNDLE",
  "GIT_SSL_CAINFO",
];
/** Of the server's environment: how the network is reached, and where packages come from. Paths of this machine mean nothing there. */
const passed = /^(.*_PROXY|.*_proxy|PIP_INDEX_URL|PIP_EXTRA_INDEX_URL|UV_DEFAULT_INDEX|UV_INDEX|UV_INDEX_URL)$/;

/** @param caBundle a file of certificates that steps are to trust beside, or instead of, those of their images */
export function stepEnvironment(base: Readonly<Record<string, string>>, caBundle: string | undefined): StepEnvironment {
  const env = Object.fromEntries(Object.entries(base).filter(([name]) => passed.test(name)));
  if (caBundle === undefined) return { env, files: {} };
  return {
    env: { ...env, ...Object.fromEntries(certificateVariables.map((name) => [name, certificates])) },
    files: { [certificates]: readFileSync(caBundle) },
  };
}
