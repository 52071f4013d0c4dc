import { type Logger, pino } from "pino";

export type Log = Logger;

/** Structured logs, one JSON object a line. Fields that may hold secrets are blanked. */
export function createLog(level: string): Log {
  const out = pino.destination({ fd: 1, sync: true });
  // a line that cannot be written, on a full disk, is lost; the server is not
  out.on("error", () => undefined);
  return pino(
    {
      level,
      redact: { paths: ["req.headers.authorization", "*.password", "*.token", "*.configuration"], censor: "***" },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    out,
  );
}
