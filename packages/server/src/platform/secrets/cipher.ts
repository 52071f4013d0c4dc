import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { failure } from "@fuseml/core/errors";
import { writeAtomically } from "../files/atomic.ts";

const algorithm = "aes-256-gcm";
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** Encrypts what must not be read in the database: AES-256-GCM, `v1.<base64 of nonce, tag and ciphertext>`. */
export type Cipher = { seal(plain: string): string; open(sealed: string): string };

/** @throws `server.configuration` when the key is not 32 bytes */
export function cipher(key: Buffer): Cipher {
  if (key.length !== keyBytes) {
    throw failure("server.configuration", {
      name: "FUSEML_SECRET_KEY",
      reason: `the key must be ${keyBytes} bytes, base64`,
    });
  }
  return {
    seal: (plain) => {
      const nonce = randomBytes(nonceBytes);
      const encrypt = createCipheriv(algorithm, key, nonce);
      const body = Buffer.concat([encrypt.update(plain, "utf8"), encrypt.final()]);
      return `v1.${Buffer.concat([nonce, encrypt.getAuthTag(), body]).toString("base64")}`;
    },
    open: (sealed) => {
      if (!sealed.startsWith("v1.")) throw new Error("not a sealed value");
      const bytes = Buffer.from(sealed.slice(3), "base64");
      const decrypt = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decrypt.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
      return Buffer.concat([decrypt.update(bytes.subarray(nonceBytes + tagBytes)), decrypt.final()]).toString("utf8");
    },
  };
}

/** The key from the environment, or from a file that is made (0600) at the first start. */
export function loadKey(fromEnvironment: string | undefined, file: string): Buffer {
  if (fromEnvironment) return Buffer.from(fromEnvironment, "base64");
  if (!existsSync(file)) writeAtomically(file, randomBytes(keyBytes).toString("base64"), 0o600);
  return Buffer.from(readFileSync(file, "utf8").trim(), "base64");
}
