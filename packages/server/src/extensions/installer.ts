import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type FuseError, failure } from "@fuseml/core/errors";
import { activate, type EnvironmentStore } from "@fuseml/environments/store";
import { type Clock, instant } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { freePort } from "../platform/processes/ports.ts";
import type { Supervisor } from "../platform/processes/supervisor.ts";
import type { Cipher } from "../platform/secrets/cipher.ts";
import type { Store } from "../state/store.ts";
import { type Bundle, fillIn, parseBundle } from "./bundle.ts";
import type { ExtensionGiven, ExtensionService } from "./service.ts";

/** What an installed bundle must know to start again. */
type BundleState = {
  readonly ports: Readonly<Record<string, number>>;
  readonly secrets: Readonly<Record<string, string>>;
};

export type InstallProgress = (message: string) => void;

/** Installs bundles: an environment, supervised processes, and a record in the registry. */
export class ExtensionInstaller {
  private readonly parts: {
    store: Store;
    extensions: ExtensionService;
    environments: EnvironmentStore;
    supervisor: Supervisor;
    cipher: Cipher;
    clock: Clock;
    log: Log;
    /** Holds `<name>/bundle.yaml`. */
    bundles: string;
    /** Holds a directory for each installed bundle. */
    data: string;
    baseEnv: Readonly<Record<string, string>>;
    serverUrl: string;
    /** A token for platforms of this server that an extension's record points at. */
    issueToken: (name: string) => Promise<string>;
  };
  private readonly turns = new Map<string, Promise<unknown>>();

  constructor(parts: ExtensionInstaller["parts"]) {
    this.parts = parts;
  }

  available(): string[] {
    return readdirSync(this.parts.bundles).filter((name) => existsSync(join(this.parts.bundles, name, "bundle.yaml")));
  }

  installed(): Promise<string[]> {
    return this.parts.store.read.bundles.list().then((bundles) => bundles.map((bundle) => bundle.name));
  }

  /**
   * Installs a bundle and waits until it answers. Installing an installed one makes sure that it runs.
   * @returns the id of its record @throws `extension.no-bundle`, `extension.install-failed`
   */
  install(name: string, say: InstallProgress): Promise<string> {
    const turn = (this.turns.get(name) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.installNow(name, say));
    this.turns.set(name, turn);
    return turn;
  }

  private async installNow(name: string, say: InstallProgress): Promise<string> {
    const { store, cipher, clock, extensions } = this.parts;
    const bundle = this.bundle(name);
    const present = await store.read.bundles.get(name);
    const state = present ? (JSON.parse(cipher.open(present.state)) as BundleState) : await this.newState(bundle);
    try {
      await this.start(bundle, state, say);
    } catch (error) {
      if (!present)
        for (const process of [...bundle.processes].reverse())
          await this.parts.supervisor.stop(processName(bundle, process.name));
      const { message, output } = error as Error & { output?: string };
      if ((error as Partial<FuseError>).code && (error as Partial<FuseError>).status) throw error;
      throw failure(
        "extension.install-failed",
        { name, reason: [message, output].filter(Boolean).join("\n") },
        { cause: error },
      );
    }
    const record = fillIn(bundle.extension, this.known(bundle, state)) as ExtensionGiven & { id: string };
    if (await store.read.extensions.get(record.id)) {
      if (!present) await extensions.update(record.id, record);
    } else await extensions.register(record);
    await store.transaction((unit) =>
      unit.bundles.save({
        name,
        state: cipher.seal(JSON.stringify(state)),
        created: present?.created ?? instant(clock),
      }),
    );
    return record.id;
  }

  /** Stops the bundle's processes and removes its record. Its data stays. @throws `extension.no-bundle` */
  async uninstall(name: string): Promise<void> {
    const bundle = this.bundle(name);
    for (const process of [...bundle.processes].reverse())
      await this.parts.supervisor.stop(processName(bundle, process.name));
    await this.parts.store.transaction(async (unit) => {
      await unit.extensions.remove(bundle.extension.id);
      await unit.bundles.remove(name);
    });
  }

  /** Starts what is installed, after a start of the server. */
  async startInstalled(): Promise<void> {
    const names = await this.installed();
    await Promise.all(
      names.map(async (name) => {
        try {
          await this.install(name, () => undefined);
        } catch (error) {
          this.parts.log.error({ err: error, bundle: name }, "an installed extension could not be started");
        }
      }),
    );
  }

  private bundle(name: string): Bundle {
    const file = join(this.parts.bundles, name, "bundle.yaml");
    if (!/^[a-z0-9-]+$/.test(name) || !existsSync(file))
      throw failure("extension.no-bundle", { name, known: this.available().join(", ") });
    return parseBundle(readFileSync(file, "utf8"), file);
  }

  private async newState(bundle: Bundle): Promise<BundleState> {
    const ports: Record<string, number> = {};
    for (const [name, preferred] of Object.entries(bundle.ports)) ports[name] = await freePort(preferred);
    const secrets: Record<string, string> = {};
    for (const name of bundle.secrets) {
      secrets[name] =
        name === "platform_token"
          ? await this.parts.issueToken(`extension ${bundle.name}`)
          : randomBytes(15).toString("hex");
    }
    return { ports, secrets };
  }

  private known(bundle: Bundle, state: BundleState): Record<string, string> {
    return {
      data: this.dataOf(bundle),
      "server.url": this.parts.serverUrl,
      ...Object.fromEntries(Object.entries(state.ports).map(([name, port]) => [`port.${name}`, String(port)])),
      ...Object.fromEntries(Object.entries(state.secrets).map(([name, secret]) => [`secret.${name}`, secret])),
    };
  }

  private dataOf(bundle: Bundle): string {
    return join(this.parts.data, bundle.name);
  }

  private async start(bundle: Bundle, state: BundleState, say: InstallProgress): Promise<void> {
    if (bundle.processes.length === 0) return;
    const { environments, supervisor, baseEnv } = this.parts;
    const known = this.known(bundle, state);
    for (const directory of bundle.directories) mkdirSync(fillIn(directory, known), { recursive: true });
    say(`preparing the Python environment of ${bundle.name}`);
    const { environment, made } = await environments.ensure({ requirements: bundle.python }, { strict: false, say });
    say(made ? "environment made" : "environment found");
    await Promise.all(
      bundle.processes.map(async (process) => {
        const [program = "", ...args] = fillIn(process.command, known);
        say(`starting ${process.name}`);
        await supervisor.ensure({
          name: processName(bundle, process.name),
          command: join(environment.directory, "bin", program),
          args,
          env: { ...(activate(environment, baseEnv) as Record<string, string>), ...fillIn(process.env, known) },
          cwd: this.dataOf(bundle),
          healthUrl: fillIn(process.health, known),
          readyWithinMs: process.readyWithinSeconds * 1000,
        });
        say(`${process.name} answers`);
      }),
    );
  }
}

const processName = (bundle: Bundle, process: string): string => `extension-${bundle.name}-${process}`;
