import { type Logger, pino } from "pino";

export type Log = Logger;

/** Structured logs, one JSON object a line. Fields that may hold secrets are blanked. */
export const createLog = (level: string): Log =>
  pino({
    level,
    redact: { paths: ["req.headers.authorization", "*.password", "*.token", "*.configuration"], censor: "***" },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
