import { createHmac } from "node:crypto";
import { failure } from "@fuseml/core/errors";
import { type Clock, instant } from "../platform/clock.ts";
import { hashToken, newToken } from "../platform/secrets/token.ts";
import type { Store } from "../state/store.ts";
import type { StoredToken } from "./repository.ts";

export type Caller =
  | { readonly kind: "open" }
  | { readonly kind: "token"; readonly name: string; readonly roles: readonly string[] }
  | { readonly kind: "run"; readonly runId: string };

/** May do everything. */
export const adminRole = "admin";

/** Who may call. An open server takes everybody and listens on the loopback address only; else a token is asked for. */
export class AccessService {
  private readonly parts: { store: Store; clock: Clock; key: Buffer; open: boolean };

  constructor(parts: AccessService["parts"]) {
    this.parts = parts;
  }

  get isOpen(): boolean {
    return this.parts.open;
  }

  /**
   * The token of a run: the same after a restart of the server, so that steps that lived through it can go on calling.
   * It dies with the run.
   */
  async issueForRun(runId: string): Promise<string> {
    const token = `fml_${createHmac("sha256", this.parts.key).update(`run-token ${runId}`).digest("base64url").slice(0, 32)}`;
    await this.parts.store.read.tokens.add({
      hash: hashToken(token),
      name: `run ${runId}`,
      runId,
      created: instant(this.parts.clock),
      roles: [],
    });
    return token;
  }

  /** A token that does not expire. Its text is told once. */
  async issue(name: string, roles: readonly string[] = [adminRole]): Promise<string> {
    const token = newToken();
    await this.parts.store.read.tokens.add({
      hash: hashToken(token),
      name,
      runId: null,
      created: instant(this.parts.clock),
      roles,
    });
    return token;
  }

  /** @throws `auth.required`, `auth.invalid` */
  async authenticate(authorization: string | undefined): Promise<Caller> {
    const token = credentialOf(authorization);
    if (token === undefined) {
      if (this.parts.open) return { kind: "open" };
      throw failure("auth.required", {});
    }
    const found = await this.parts.store.read.tokens.find(hashToken(token));
    if (!found) throw failure("auth.invalid", {});
    return found.runId ? { kind: "run", runId: found.runId } : { kind: "token", name: found.name, roles: found.roles };
  }

  /** A new token for a person or a program. @throws `token.exists` */
  async create(name: string, roles: readonly string[]): Promise<string> {
    if ((await this.list()).some((token) => token.name === name)) throw failure("token.exists", { name });
    return this.issue(name, roles);
  }

  list(): Promise<StoredToken[]> {
    return this.parts.store.read.tokens.list();
  }

  /** From now on the token is not valid. @throws `token.not-found` */
  async revoke(name: string): Promise<void> {
    if (!(await this.parts.store.read.tokens.removeNamed(name))) throw failure("token.not-found", { name });
  }
}

/** The token of a `Bearer` header, or the password of a `Basic` one. */
export function credentialOf(authorization: string | undefined): string | undefined {
  const [scheme, value] = (authorization ?? "").split(" ");
  if (!value) return undefined;
  if (scheme?.toLowerCase() === "bearer") return value;
  if (scheme?.toLowerCase() === "basic") return basicOf(authorization)?.password;
  return undefined;
}

/** Name and password of a `Basic` header. */
export function basicOf(authorization: string | undefined): { name: string; password: string } | undefined {
  const match = /^basic\s+(\S+)$/i.exec(authorization ?? "");
  if (!match?.[1]) return undefined;
  const text = Buffer.from(match[1], "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}
