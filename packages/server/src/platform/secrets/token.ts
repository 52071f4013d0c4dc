import { createHash, randomBytes } from "node:crypto";

/** A new secret token: 192 random bits behind a prefix that secret scanners recognise. */
export const newToken = (): string => `fml_${randomBytes(24).toString("base64url")}`;

/** What is stored of a token. Tokens are random and long, so a plain hash is enough. */
export const hashToken = (token: string): string => createHash("sha256").update(token).digest("hex");
