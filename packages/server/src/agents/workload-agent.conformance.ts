import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Segment } from "@fuseml/core/run/plan";
import type { StepSpec } from "@fuseml/core/run/spec";
import type { StepEvent } from "@fuseml/core/run/state";
import { outputLimitBytes, type SegmentContext, type WorkloadAgent } from "../runs/workload-agent.ts";

/** An agent under test, with the means to look behind it. */
export type AgentUnderTest = {
  readonly agent: WorkloadAgent;
  /** An image whose step runs the text of the variable `SCRIPT` with a POSIX shell. */
  readonly shellImage: string;
  /** An image that this agent can never run. */
  readonly refusedImage: string;
  /**
   * Submits the segment in another process over the same state, and kills that process with SIGKILL as soon as the log of the
   * first step holds `after`. From then on `agent` is the one that a new server would have.
   */
  submitAndCrash(segment: Segment, context: SegmentContext, after: string): Promise<void>;
  /** A new agent over the same state, after the first one was shut down. */
  reopen(): WorkloadAgent;
  /** Whether a process that a script told the number of (`echo $$`) lives. */
  isAlive(pid: number): boolean;
  /** Ends a process and whatever supervises it, without a trace. */
  destroy(pid: number): Promise<void>;
  /** Variables that every step gets, by which its processes can be found. */
  readonly variables?: Readonly<Record<string, string>>;
  dispose(): Promise<void>;
};

const secret = "s3cr3t-value";
let made = 0;

const shell = (image: string, name: string, script: string, of: Partial<StepSpec> = {}): StepSpec => ({
  name,
  step: name,
  attempt: 1,
  needs: [],
  image: [image],
  variables: [{ name: "SCRIPT", value: [script] }],
  codesets: [],
  outputs: [],
  extensions: [],
  ...of,
});

function context(of: Partial<SegmentContext> = {}): SegmentContext {
  return {
    workflow: "w",
    project: "p",
    serverUrl: "http://127.0.0.1:1",
    token: "fml_token_of_the_run",
    finished: new Map(),
    extensions: {},
    ...of,
  };
}

async function eventsOf(agent: WorkloadAgent, segment: Segment): Promise<StepEvent[]> {
  const events: StepEvent[] = [];
  for await (const batch of agent.observe(segment.id)) events.push(...batch);
  return events;
}

async function logOf(agent: WorkloadAgent, segment: Segment, step: string, follow = false): Promise<string> {
  let text = "";
  for await (const chunk of agent.logs(segment.id, step, { from: 0, follow, signal: AbortSignal.timeout(20_000) }))
    text += chunk.text;
  return text;
}

/** Gives every step the variables by which its processes can be found. */
function marked(under: AgentUnderTest): AgentUnderTest {
  const variables = Object.entries(under.variables ?? {}).map(([name, value]) => ({ name, value: [value] }));
  if (variables.length === 0) return under;
  const mark = (segment: Segment): Segment => ({
    ...segment,
    steps: segment.steps.map((step) => ({ ...step, variables: [...variables, ...step.variables] })),
  });
  const through = (agent: WorkloadAgent): WorkloadAgent =>
    new Proxy(agent, {
      get(target, name: keyof WorkloadAgent) {
        if (name === "submit") {
          return (segment: Segment, of: SegmentContext) => target.submit(mark(segment), of);
        }
        const value: unknown = target[name];
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  return {
    ...under,
    agent: through(under.agent),
    reopen: () => through(under.reopen()),
    submitAndCrash: (segment, of, after) => under.submitAndCrash(mark(segment), of, after),
  };
}

/** What every workload agent must do. */
export function workloadAgentConformance(name: string, make: () => Promise<AgentUnderTest>): void {
  describe(`workload agent ${name}`, { concurrency: true }, () => {
    const check = (
      title: string,
      work: (under: AgentUnderTest, segment: (...steps: StepSpec[]) => Segment) => Promise<void>,
    ) =>
      test(title, { timeout: 60_000 }, async () => {
        const under = marked(await make());
        try {
          made += 1;
          await work(under, (...steps) => ({
            id: `run_${made}.${steps[0]?.name}`,
            runId: `run_${made}`,
            agent: name,
            // one after the other, unless a step says what it needs
            steps: steps.map((step, index) => ({
              ...step,
              needs: step.needs.length > 0 || index === 0 ? step.needs : [steps[index - 1]?.step ?? ""],
            })),
          }));
        } finally {
          await under.dispose();
        }
      });

    check("runs steps in order and hands outputs on", async ({ agent, shellImage }, segment) => {
      const of = segment(
        shell(shellImage, "a", 'printf 41 > "$FUSEML_RESULTS_DIR/n"', { outputs: ["n"] }),
        shell(shellImage, "b", 'echo "$((N + 1))" > "$FUSEML_RESULTS_DIR/m"', {
          outputs: ["m"],
          variables: [
            { name: "N", value: [{ step: "a", output: "n" }] },
            { name: "SCRIPT", value: ['echo "$((N + 1))" > "$FUSEML_RESULTS_DIR/m"'] },
          ],
        }),
      );
      await agent.submit(of, context());
      const events = await eventsOf(agent, of);
      assert.deepEqual(
        events.map((event) => [event.type, event.step, event.type === "succeeded" ? event.outputs : undefined]),
        [
          ["started", "a", undefined],
          ["succeeded", "a", { n: "41" }],
          ["started", "b", undefined],
          ["succeeded", "b", { m: "42" }],
        ],
      );
    });

    check("a step sees the variables of the contract", async ({ agent, shellImage }, segment) => {
      const script =
        'echo "$FUSEML_ENV_WORKFLOW_NAME $FUSEML_RUN_ID $FUSEML_STEP_NAME $FUSEML_SERVER_URL $TASK_RESULT $FUSEML_ENV_WORKFLOW_NAMESPACE"; : > "$FUSEML_RESULTS_DIR/o"';
      const of = segment(shell(shellImage, "a", script, { outputs: ["o"] }));
      await agent.submit(of, context());
      await eventsOf(agent, of);
      assert.equal(await logOf(agent, of, "a"), `w ${of.runId} a http://127.0.0.1:1 o fuseml-workloads\n`);
    });

    check(
      "a failing step ends the segment with its exit code and its last words",
      async ({ agent, shellImage }, segment) => {
        const of = segment(
          shell(shellImage, "a", "echo first; echo last words >&2; exit 7"),
          shell(shellImage, "b", "true"),
        );
        await agent.submit(of, context());
        const events = await eventsOf(agent, of);
        const last = events.at(-1);
        assert.deepEqual(
          events.map((event) => event.type),
          ["started", "failed"],
        );
        assert.ok(last?.type === "failed");
        assert.equal(last.error.code, "step.failed");
        assert.equal(last.error.exitCode, 7);
        assert.match(last.error.logTail ?? "", /last words/);
      },
    );

    check("a step that is killed says by which signal", async ({ agent, shellImage }, segment) => {
      const of = segment(shell(shellImage, "a", "sh -c 'kill -9 $$'"));
      await agent.submit(of, context());
      const last = (await eventsOf(agent, of)).at(-1);
      assert.ok(last?.type === "failed");
      assert.equal(last.error.code, "step.killed");
      assert.match(last.error.message, /SIGKILL/);
    });

    check("an output that is missing or too large is an error that says so", async ({ agent, shellImage }, segment) => {
      const missing = segment(shell(shellImage, "a", "true", { outputs: ["o"] }));
      await agent.submit(missing, context());
      const first = (await eventsOf(agent, missing)).at(-1);
      assert.ok(first?.type === "failed");
      assert.equal(first.error.code, "step.output-missing");
      const large: Segment = {
        ...segment(
          shell(shellImage, "b", `head -c ${outputLimitBytes + 1} /dev/zero > "$FUSEML_RESULTS_DIR/o"`, {
            outputs: ["o"],
          }),
        ),
      };
      await agent.submit(large, context());
      const second = (await eventsOf(agent, large)).at(-1);
      assert.ok(second?.type === "failed");
      assert.equal(second.error.code, "step.output-too-large");
    });

    check("submitting a segment again does not run it again", async ({ agent, shellImage }, segment) => {
      const of = segment(shell(shellImage, "a", "echo ran"));
      await agent.submit(of, context());
      await agent.submit(of, context());
      await eventsOf(agent, of);
      await agent.submit(of, context());
      const again = await eventsOf(agent, of);
      assert.equal(again.at(-1)?.type, "succeeded");
      assert.equal(await logOf(agent, of, "a"), "ran\n");
    });

    check(
      "steps that finished before are not run, and what they gave is known",
      async ({ agent, shellImage }, segment) => {
        const of = segment(
          shell(shellImage, "a", "echo must not run; exit 1", { outputs: ["n"] }),
          shell(shellImage, "b", "", {
            variables: [{ name: "SCRIPT", value: ["echo got ", { step: "a", output: "n" }] }],
          }),
        );
        await agent.submit(of, context({ finished: new Map([["a", { n: "7" }]]) }));
        assert.deepEqual(
          (await eventsOf(agent, of)).map((event) => `${event.type} ${event.step}`),
          ["started b", "succeeded b"],
        );
        assert.equal(await logOf(agent, of, "b"), "got 7\n");
      },
    );

    check(
      "extensions become variables; secrets are masked in the log, in every form",
      async ({ agent, shellImage }, segment) => {
        const of = segment(
          shell(shellImage, "a", 'echo "$PLAIN $KEY"; printf %s "$KEY" | base64; echo "token $FUSEML_TOKEN"'),
        );
        const extensions = { a: { variables: { store: { PLAIN: "plain", KEY: secret } }, secrets: [secret] } };
        await agent.submit(of, context({ extensions }));
        await eventsOf(agent, of);
        assert.equal(await logOf(agent, of, "a"), "plain ***\n***\ntoken ***\n");
      },
    );

    check(
      "a log can be followed while it is written, and read again from an offset",
      async ({ agent, shellImage }, segment) => {
        const of = segment(shell(shellImage, "a", "echo one; sleep 0.4; echo two"));
        await agent.submit(of, context());
        const observed = eventsOf(agent, of);
        assert.equal(await logOf(agent, of, "a", true), "one\ntwo\n");
        await observed;
        let rest = "";
        for await (const chunk of agent.logs(of.id, "a", { from: 4, follow: false, signal: AbortSignal.timeout(5000) }))
          rest += chunk.text;
        assert.equal(rest, "two\n");
      },
    );

    check(
      "cancel ends the process and its children, and no further step starts",
      async ({ agent, shellImage, isAlive }, segment) => {
        const of = segment(shell(shellImage, "a", "sleep 300 & echo $! $$; wait"), shell(shellImage, "b", "true"));
        await agent.submit(of, context());
        let pids: number[] = [];
        for await (const chunk of agent.logs(of.id, "a", {
          from: 0,
          follow: true,
          signal: AbortSignal.timeout(20_000),
        })) {
          pids = chunk.text.trim().split(" ").map(Number);
          break;
        }
        assert.ok(pids.length === 2 && pids.every((pid) => isAlive(pid)));
        await agent.cancel(of.id);
        assert.deepEqual(pids.map(isAlive), [false, false]);
        assert.deepEqual(
          (await eventsOf(agent, of)).map((event) => event.type),
          ["started"],
        );
      },
    );

    check(
      "after a crash of the server a living step is taken up, not started again",
      async ({ agent, shellImage, submitAndCrash }, segment) => {
        const of = segment(
          shell(shellImage, "a", 'echo begun; sleep 1; echo over; printf done > "$FUSEML_RESULTS_DIR/o"', {
            outputs: ["o"],
          }),
          shell(shellImage, "b", "echo b"),
        );
        await submitAndCrash(of, context(), "begun");
        await agent.submit(of, context());
        const events = await eventsOf(agent, of);
        assert.deepEqual(
          events.map((event) => `${event.type} ${event.step}`),
          ["started a", "succeeded a", "started b", "succeeded b"],
        );
        assert.equal(await logOf(agent, of, "a"), "begun\nover\n");
      },
    );

    check(
      "after a crash of the server what ended meanwhile is told, not run again",
      async ({ agent, shellImage, submitAndCrash, isAlive }, segment) => {
        const of = segment(shell(shellImage, "a", "echo $$; sleep 0.3; echo once"));
        await submitAndCrash(of, context(), "\n");
        const pid = Number((await logOf(agent, of, "a")).trim());
        while (isAlive(pid)) await pause(20);
        await agent.submit(of, context());
        assert.equal((await eventsOf(agent, of)).at(-1)?.type, "succeeded");
        assert.equal(await logOf(agent, of, "a"), `${pid}\nonce\n`);
      },
    );

    check(
      "a step whose process was killed with everything around it is told as vanished",
      async ({ agent, shellImage, submitAndCrash, destroy }, segment) => {
        const of = segment(shell(shellImage, "a", "echo $$; sleep 300"));
        await submitAndCrash(of, context(), "\n");
        const pid = (await logOf(agent, of, "a")).trim();
        await agent.submit(of, context());
        await destroy(Number(pid));
        const last = (await eventsOf(agent, of)).at(-1);
        assert.ok(last?.type === "failed");
        // an engine may have seen the signal before its container was gone
        assert.match(last.error.code, /^step\.(vanished|killed)$/, last.error.message);
      },
    );

    check(
      "a shut-down interrupts, and is no failure: the step runs afresh when it is submitted again",
      async ({ agent, shellImage, reopen }, segment) => {
        const of = segment(shell(shellImage, "a", 'echo try; [ -n "$AGAIN" ] || sleep 300'));
        await agent.submit(of, context());
        const observed = eventsOf(agent, of);
        for await (const chunk of agent.logs(of.id, "a", {
          from: 0,
          follow: true,
          signal: AbortSignal.timeout(20_000),
        })) {
          if (chunk.text.includes("try")) break;
        }
        await agent.shutdown();
        assert.deepEqual(
          (await observed).map((event) => event.type),
          ["started"],
        );
        const next = reopen();
        await next.submit(of, context({ extensions: { a: { variables: { x: { AGAIN: "yes" } }, secrets: [] } } }));
        assert.equal((await eventsOf(next, of)).at(-1)?.type, "succeeded");
      },
    );

    check(
      "steps that do not need each other run side by side; one that fails holds up only those that need it",
      async ({ agent, shellImage }, _segment) => {
        const of: Segment = {
          id: `run_side_${name}_${made}.1`,
          runId: `run_side_${made}`,
          agent: name,
          steps: [
            // long beside the start of a container on a loaded machine
            shell(shellImage, "slow", "sleep 3"),
            shell(shellImage, "bad", "exit 1"),
            shell(shellImage, "m.0", "true", { step: "m", needs: ["slow"] }),
            shell(shellImage, "m.1", "true", { step: "m", needs: ["slow"] }),
            shell(shellImage, "after-bad", "true", { needs: ["bad"] }),
            shell(shellImage, "join", "true", { needs: ["m"] }),
          ],
        };
        await agent.submit(of, context());
        const events = await eventsOf(agent, of);
        const at = (what: string) => events.findIndex((event) => `${event.type} ${event.step}` === what);
        assert.ok(at("started bad") < at("succeeded slow"), "side by side");
        assert.equal(at("started after-bad"), -1);
        assert.ok(at("succeeded slow") < at("started m.0"));
        assert.ok(at("started join") > at("succeeded m.0") && at("started join") > at("succeeded m.1"));
        assert.ok(at("succeeded join") > 0);
      },
    );

    check("the try that a step is told to be is the one it tells of", async ({ agent, shellImage }, segment) => {
      const of = segment(shell(shellImage, "a", "true", { attempt: 3 }));
      await agent.submit(of, context());
      assert.deepEqual(
        (await eventsOf(agent, of)).map((event) => event.attempt),
        [3, 3],
      );
    });

    check(
      "a step that takes too long is ended with its children, and says so",
      async ({ agent, shellImage, isAlive }, segment) => {
        const of = segment(shell(shellImage, "a", "sleep 300 & echo $!; wait", { timeoutMs: 400 }));
        await agent.submit(of, context());
        const last = (await eventsOf(agent, of)).at(-1);
        assert.ok(last?.type === "failed");
        assert.equal(last.error.code, "step.timeout");
        assert.equal(isAlive(Number(await logOf(agent, of, "a"))), false);
      },
    );

    check(
      "drained, a segment starts nothing more, and what is under way ends by itself; so it stays after a restart",
      async ({ agent, shellImage }, segment) => {
        const of = segment(shell(shellImage, "a", "echo begun; sleep 0.5; echo over"), shell(shellImage, "b", "true"));
        await agent.submit(of, context());
        for await (const chunk of agent.logs(of.id, "a", {
          from: 0,
          follow: true,
          signal: AbortSignal.timeout(20_000),
        })) {
          if (chunk.text.includes("begun")) break;
        }
        assert.deepEqual(await agent.drain(of.id), ["a"]);
        assert.deepEqual(
          (await eventsOf(agent, of)).map((event) => `${event.type} ${event.step}`),
          ["started a", "succeeded a"],
        );
        assert.deepEqual(await agent.drain(of.id), ["a"], "also when it is over");
        await agent.submit(of, context({ finished: new Map([["a", {}]]) }));
        assert.deepEqual(await eventsOf(agent, of), []);
        assert.deepEqual(await agent.drain("run_unknown.1"), []);
      },
    );

    check(
      "one step can be cancelled; nothing is told of it, and others go on",
      async ({ agent, shellImage, isAlive }, _segment) => {
        const of: Segment = {
          id: `run_one_${name}_${made}.1`,
          runId: `run_one_${made}`,
          agent: name,
          steps: [shell(shellImage, "stuck", "echo $$; sleep 300"), shell(shellImage, "other", "sleep 0.5")],
        };
        await agent.submit(of, context());
        let pid = 0;
        for await (const chunk of agent.logs(of.id, "stuck", {
          from: 0,
          follow: true,
          signal: AbortSignal.timeout(20_000),
        })) {
          pid = Number(chunk.text.trim());
          break;
        }
        await agent.cancel(of.id, "stuck");
        assert.equal(isAlive(pid), false);
        const events = (await eventsOf(agent, of)).map((event) => `${event.type} ${event.step}`);
        assert.ok(events.includes("succeeded other"));
        assert.ok(!events.some((event) => event === "succeeded stuck" || event === "failed stuck"));
      },
    );

    check("what a former server began can be cancelled without being taken up", async (under, segment) => {
      const of = segment(shell(under.shellImage, "a", "echo $$; sleep 300"));
      await under.submitAndCrash(of, context(), "\n");
      const pid = Number((await logOf(under.agent, of, "a")).trim());
      await under.agent.cancel(of.id);
      assert.equal(under.isAlive(pid), false);
      await under.agent.submit(of, context());
      assert.deepEqual(await eventsOf(under.agent, of), []);
    });

    check(
      "a forgotten segment leaves nothing behind; its log is gone, and that is said",
      async ({ agent, shellImage }, segment) => {
        const of = segment(shell(shellImage, "a", "echo words"));
        await agent.submit(of, context());
        await eventsOf(agent, of);
        await agent.forget(of.id);
        await assert.rejects(logOf(agent, of, "a"), { code: "log.gone" });
      },
    );

    check(
      "it says what an image means to it, and nothing of an image that it does not know",
      async ({ agent, shellImage }) => {
        assert.equal(await agent.imageDigest(shellImage), await agent.imageDigest(shellImage));
        assert.ok(await agent.imageDigest(shellImage));
        assert.equal(await agent.imageDigest("example.org/no/such:image"), undefined);
      },
    );

    check("a zone where it is not is refused", async ({ agent, shellImage }) => {
      assert.ok(agent.accepts(shell(shellImage, "a", "true", { zone: agent.zone })).accepted);
      assert.ok(!agent.accepts(shell(shellImage, "a", "true", { zone: "elsewhere" })).accepted);
    });

    check("an image that it can never run is refused beforehand, with a reason", async ({ agent, refusedImage }) => {
      const answer = agent.accepts(shell(refusedImage, "a", ""));
      assert.ok(!answer.accepted);
      assert.ok(answer.reason.message.includes(refusedImage), answer.reason.message);
    });
  });
}
