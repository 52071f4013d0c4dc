/** Container engines that `npm run test:containers` started; without it there are none, and what needs one is skipped. */
import { readdirSync, readFileSync } from "node:fs";

export type TestEngine = { readonly name: string; readonly address: string };

/** Runs the text of the variable `SCRIPT` with a POSIX shell; it is on every test engine. */
export const shellImage = "localhost/fuseml-test/shell:1";

/** `podman=unix:///a.sock,docker=unix:///b.sock` in FUSEML_TEST_ENGINES. */
export const testEngines = (): readonly TestEngine[] =>
  (process.env.FUSEML_TEST_ENGINES ?? "")
    .split(",")
    .filter(Boolean)
    .map((text) => {
      const [name = "", address = ""] = text.split("=");
      return { name, address };
    });

/** Says why what needs an engine is not run. */
export const noEngine = testEngines().length === 0 ? "needs container engines: npm run test:containers" : false;

const read = (file: string): string => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // the process went while we looked
    return "";
  }
};

/** Processes of this machine that are number `pid` in their container, by a word in their environment. */
export function processesInside(pid: number, word: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      const status = read(`/proc/${name}/status`);
      const inside = /^NSpid:.*\t(\d+)$/m.exec(status)?.[1];
      return Number(inside) === pid && !/^State:\tZ/m.test(status) && read(`/proc/${name}/environ`).includes(word);
    })
    .map(Number);
}
