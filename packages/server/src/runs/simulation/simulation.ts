import { isRunEnded } from "@fuseml/core/run/state";
import { instant } from "../../platform/clock.ts";
import { Hub } from "../../platform/events/hub.ts";
import { ids } from "../../platform/ids.ts";
import { createLog } from "../../platform/log.ts";
import { type Store, sqliteStore } from "../../state/store.ts";
import { Engine } from "../engine.ts";
import { Interventions, type Person } from "../interventions.ts";
import { Launcher } from "../launcher.ts";
import { Replicas } from "../replicas.ts";
import { Reuse } from "../reuse.ts";
import { type Asked, violations } from "./checks.ts";
import { FragileStore } from "./fragile-store.ts";
import { Random } from "./random.ts";
import { randomWorkflow } from "./random-workflow.ts";
import { SimulatedAgent, SimulatedWorld } from "./simulated-agent.ts";
import { VirtualTime } from "./virtual-time.ts";

const leaseMs = 5000;
const person: Person = { name: "someone", roles: [], mayAll: true };
const silent = createLog("silent");

/** A server process: its engine, and what dies with it. */
type Process = {
  readonly id: string;
  readonly store: FragileStore;
  readonly engine: Engine;
  readonly launcher: Launcher;
  readonly interventions: Interventions;
  readonly replicas: Replicas;
  readonly agents: readonly SimulatedAgent[];
};

/** How a simulation went. The trace is the same whenever the seed is. */
export type Simulated = {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly trace: readonly string[];
};

/**
 * Two engines over one database and one world of agents, all on virtual time, disturbed in every way that a seed thinks of:
 * crashes around commits, standing still, words of agents late, twice and mixed, and people who step in.
 * In the end everything is left in peace, and must come to an end that fits what happened.
 */
export async function simulate(seed: number, actions = 60): Promise<Simulated> {
  const simulation = new Simulation(seed, await sqliteStore(":memory:"));
  return simulation.play(actions);
}

class Simulation {
  private readonly seed: number;
  private readonly random: Random;
  private readonly time = new VirtualTime();
  private readonly store: Store;
  private readonly world: SimulatedWorld;
  private readonly newId: (prefix: string) => string;
  private readonly trace: string[] = [];
  private readonly acknowledged: string[] = [];
  private readonly asked: Asked[] = [];
  private readonly processes: Process[] = [];
  private born = 0;

  constructor(seed: number, store: Store) {
    this.seed = seed;
    this.random = new Random(seed);
    this.store = store;
    this.world = new SimulatedWorld(this.random, this.time.clock);
    this.newId = ids(this.time.clock, this.random.next);
  }

  async play(actions: number): Promise<Simulated> {
    for (let n = 0; n < 2; n += 1) {
      const definition = randomWorkflow(this.random, `w${n}`);
      const created = instant(this.time.clock);
      await this.store.transaction((unit) =>
        unit.workflows.save({ name: definition.name, version: 1, digest: "", definition, created }),
      );
    }
    await this.boot();
    await this.boot();
    for (let n = 0; n < actions; n += 1) await this.disturb();
    await this.calm();
    const found = await violations(this.store, this.world, this.acknowledged, this.asked);
    await this.store.close();
    return { seed: this.seed, violations: found, trace: this.trace };
  }

  private say(text: string): void {
    this.trace.push(`${this.time.now - Date.parse("2026-01-01T00:00:00Z")} ${text}`);
  }

  private async boot(): Promise<void> {
    this.born += 1;
    const id = `rep_${this.born}`;
    const store = new FragileStore(this.store);
    const hub = new Hub();
    const { clock } = this.time;
    const timers = this.time.timersOf(id);
    const agents = ["a", "b"].map((name) => new SimulatedAgent(name, this.world, this.random));
    const extensions = {
      forStep: async () => ({ variables: {}, secrets: [], choices: {} }),
      catalogue: async () => ({ whyUnresolved: () => undefined }),
    };
    const reuse = new Reuse({
      store,
      agents,
      code: { treeOf: async () => undefined },
      witness: { digestOf: async () => "" },
      clock,
    });
    const engine = new Engine({
      store,
      agents,
      extensions,
      reuse,
      hub,
      clock,
      timers,
      log: silent,
      replica: id,
      issueToken: async () => "token",
      serverUrl: "",
    });
    const launcher = new Launcher({
      clock,
      ids: this.newId,
      journal: engine.journal,
      replica: id,
      launched: (runId) => engine.advance(runId),
    });
    const self = { id, url: "", host: "" };
    const replicas = new Replicas({ store, engine, hub, clock, timers, log: silent, self, leaseMs });
    const interventions = new Interventions({ store, engine, clock });
    this.processes.push({ id, store, engine, launcher, interventions, replicas, agents });
    this.say(`${id} starts`);
    void replicas.start().then(() => engine.start());
    await this.settle();
  }

  /** Waits until nothing happens any more without time going on. */
  private async settle(): Promise<void> {
    const calls = () => this.processes.reduce((total, { store }) => total + store.calls, 0);
    for (let quiet = 0, before = calls(); quiet < 2; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const now = calls();
      quiet = now === before ? quiet + 1 : 0;
      before = now;
    }
    for (const dead of this.processes.filter(({ store }) => store.isDead)) {
      this.say(`${dead.id} is dead`);
      this.processes.splice(this.processes.indexOf(dead), 1);
      this.time.forget(dead.id);
    }
  }

  private get living(): readonly Process[] {
    return this.processes.filter(({ store }) => !store.isFrozen);
  }

  private async disturb(): Promise<void> {
    const { random } = this;
    const dice = random.next();
    if (dice < 0.3) {
      if (this.world.progress(0.2)) this.say(`progress ${JSON.stringify(this.world.happened.at(-1))}`);
    } else if (dice < 0.5) for (const agent of random.pick(this.living)?.agents ?? []) agent.stir();
    else if (dice < 0.65) this.pass(random.chance(0.2) ? 20_000 : random.below(2000));
    else if (dice < 0.75) await this.launch();
    else if (dice < 0.9) this.intervene();
    else await this.strike();
    await this.settle();
    if (this.processes.length === 0) await this.boot();
  }

  private pass(ms: number): void {
    const awake = new Set(this.living.map(({ id }) => id));
    this.say(`${ms} ms pass`);
    this.time.advance(ms, (owner) => awake.has(owner));
  }

  private async launch(): Promise<void> {
    const process = this.random.pick(this.living);
    const workflow = await this.store.read.workflows.get(`w${this.random.below(2)}`);
    if (!process || !workflow) return;
    const stepwise = this.random.chance(0.1);
    const request = { workflow, project: "", artifacts: {}, values: {}, stepwise };
    void process.store
      .transaction((unit) => process.launcher.launch(unit, { ...request, cause: { type: "manual", by: person.name } }))
      .then((run) => {
        if (!run) return;
        this.acknowledged.push(run.id);
        this.say(`${process.id} launched ${run.id}`);
      });
  }

  private intervene(): void {
    const { random } = this;
    const process = random.pick(this.living);
    const run = random.pick(this.acknowledged);
    if (!process || !run) return;
    const { interventions, engine } = process;
    const step = `s${random.below(5)}`;
    const verdict = random.chance(0.7) ? "approve" : "reject";
    const wishes: Record<string, () => Promise<unknown>> = {
      cancel: () => engine.cancel(run, person.name),
      retry: () => interventions.retry(run, step, person),
      skip: () => interventions.skip(run, step, {}, person),
      resume: () => interventions.resume(run, random.chance(0.5) ? step : undefined, person),
      decide: () => interventions.decide(run, step, verdict, "", person),
      pause: () => interventions.pause(run, person),
      next: () => interventions.next(run, undefined, random.chance(0.3), person),
    };
    const wish = random.pick(Object.keys(wishes)) ?? "cancel";
    this.say(`${process.id} ${wish} ${run} ${step}`);
    // a step that is left out of a run that had ended makes the rest of it go on
    if (["retry", "resume", "skip"].includes(wish)) this.asked.push({ runId: run, at: this.world.happened.length });
    wishes[wish]?.().then(
      () => this.say(`${wish} ${run} ${step} was done`),
      (error: Error & { code?: string }) => {
        if (error.code === undefined) throw error;
        this.say(`${wish} ${run} ${step} was refused: ${error.code}`);
      },
    );
  }

  private async strike(): Promise<void> {
    const { random } = this;
    const process = random.pick(this.processes);
    if (process?.store.isFrozen) {
      this.say(`${process.id} goes on`);
      process.store.goOn();
    } else if (this.processes.length < 2) await this.boot();
    else if (process && random.chance(0.3)) {
      this.say(`${process.id} stands still`);
      process.store.freeze();
    } else if (process) {
      const when = random.pick(["now", "before", "after"] as const) ?? "now";
      this.say(`${process.id} dies ${when}`);
      process.store.die(when);
    }
  }

  /** Nothing disturbs any more: what waits for people is let go, and all must end. */
  private async calm(): Promise<void> {
    this.say("peace");
    for (const { store } of this.processes) if (store.isFrozen) store.goOn();
    if (this.processes.length === 0) await this.boot();
    await this.settle();
    for (let round = 0; round < 200; round += 1) {
      while (this.world.progress(0)) await this.hear();
      await this.hear();
      this.pass(round % 5 === 4 ? 10_000 : 1000);
      await this.settle();
      if (this.processes.length === 0) await this.boot();
      let open = 0;
      for (const id of this.acknowledged) {
        const run = await this.store.read.runs.get(id);
        if (!run || isRunEnded(run.status)) continue;
        open += 1;
        await this.letGo(id);
      }
      if (open === 0) return;
    }
  }

  private async hear(): Promise<void> {
    for (const { agents } of this.living) for (const agent of agents) agent.stirAll();
    await this.settle();
  }

  private async letGo(id: string): Promise<void> {
    const owner = (await this.store.read.runs.get(id))?.owner;
    const process = this.processes.find((of) => of.id === owner);
    if (!process) return;
    const ignore = (error: Error & { code?: string }) => {
      if (error.code === undefined) throw error;
    };
    const steps = await this.store.read.runs.steps(id);
    for (const { name, state } of steps) {
      if (state.status !== "waiting" || state.gate?.type !== "approval") continue;
      void process.interventions.decide(id, name, "approve", "", person).catch(ignore);
    }
    void process.interventions.next(id, undefined, true, person).catch(ignore);
    await this.settle();
  }
}
