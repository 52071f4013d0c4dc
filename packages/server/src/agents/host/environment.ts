const passed =
  /^(PATH|HOME|USER|LANG|LC_.*|TZ|TMPDIR|SSL_CERT_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS|PIP_.*|UV_.*|.*_PROXY|.*_proxy|FUSEML_PYTHON|FUSEML_UV)$/;

/** Of the server's environment a step gets only this: the server's own secrets are not among it. */
export const hostEnvironment = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && passed.test(entry[0])),
  );
