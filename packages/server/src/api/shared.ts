import { z } from "zod";

/** Names as upstream's pattern has them. */
export const name = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_-]*$/, "letters, digits, - and _ only");
export const named = z.object({ name });
export const instant = z.string().meta({ description: "ISO 8601, UTC", format: "date-time" });
export const configuration = z.record(z.string(), z.string());

/** A query parameter that may be given once or many times. */
export const list = z.preprocess(
  (value) => (value === undefined ? undefined : Array.isArray(value) ? value : [value]),
  z.array(z.string()).optional(),
);
export const optionalText = z
  .string()
  .optional()
  .transform((text) => (text === "" ? undefined : text));
export const flag = z
  .enum(["true", "false", ""])
  .optional()
  .transform((text) => text !== undefined && text !== "false");
