import { createColors } from "picocolors";

const wanted = (stream: { isTTY?: boolean }): boolean =>
  Boolean(stream.isTTY) && !process.env.NO_COLOR && process.env.TERM !== "dumb";

/** Colours for what goes to standard output: on a terminal only, not in a pipe, not in CI. */
export const outColours = createColors(wanted(process.stdout));
/** The same for standard error. */
export const errColours = createColors(wanted(process.stderr));
