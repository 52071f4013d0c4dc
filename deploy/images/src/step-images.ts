import { baseLayer } from "./base.ts";
import { assemble, type Image } from "./image.ts";
import { cachedLayer, type Layer, packLayer } from "./layer.ts";
import { home, nodeEntries, nodeProgram, programEntries, stepPrograms, userEntries } from "./programs.ts";

/** Steps that reach the container engine to build images: its socket belongs to root. */
const asRoot = new Set(["mlflow-builder"]);

export type NamedImage = { readonly name: string; readonly image: Image };

/** What makes FuseML's images. @property directory keeps layers between builds */
export type Making = {
  readonly directory: string;
  readonly version: string;
  readonly say: (line: string) => void;
};

/** FuseML's base image and an image for each step program. Same sources, same base: same digests. */
export async function stepImages({ directory, version, say }: Making): Promise<readonly NamedImage[]> {
  const base = await baseLayer(directory, say);
  say("packing Node and the step programs");
  const node = await cachedLayer(directory, `node ${process.version} ${process.arch} ${process.execPath}`, () =>
    packLayer(nodeEntries(), directory),
  );
  const programs = await packLayer([...programEntries(), ...userEntries()], directory);
  const labels = (title: string) => ({
    "org.opencontainers.image.title": title,
    "org.opencontainers.image.version": version,
    "org.opencontainers.image.licenses": "Apache-2.0",
  });
  const plain = assemble([base], {
    entrypoint: ["/bin/sh"],
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
    user: "",
    workingDirectory: "/",
    labels: labels("base"),
  });
  const images = stepPrograms().map((name) => ({
    name,
    image: assemble(layersOf(base, node, programs), {
      entrypoint: [nodeProgram, `${home}/packages/steps/src/${name}/main.ts`],
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        LANG: "C.UTF-8",
        HOME: asRoot.has(name) ? "/root" : "/home/fuseml",
        // its number is in no password file
        ...(asRoot.has(name) ? {} : { USER: "fuseml", LOGNAME: "fuseml" }),
      },
      user: asRoot.has(name) ? "" : "1000:1000",
      workingDirectory: "/project",
      labels: labels(name),
    }),
  }));
  return [{ name: "base", image: plain }, ...images];
}

const layersOf = (...layers: Layer[]): readonly Layer[] => layers;
