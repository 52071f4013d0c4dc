/**
 * The same chain of no-op steps for each peer. Every program prints `chain MS` after a warm-up; where it can, `process MS` for a chain
 * whose steps each run a process, and `rate PER_SECOND`.
 */
export type Peer = {
  readonly name: string;
  /** What a step is, and what is on the disk when one is over. */
  readonly step: string;
  readonly durable: string;
  readonly steps: number;
  readonly install: { readonly npm: readonly string[] } | { readonly pip: readonly string[] };
  readonly file: string;
  readonly program: string;
};

const dbos = `import { DBOS } from "@dbos-inc/dbos-sdk";
import { spawn } from "node:child_process";
const noop = () => new Promise((go) => spawn("true", { stdio: "ignore" }).on("exit", () => go(0)));
const steps = Number(process.argv[2]);
const chain = DBOS.registerWorkflow(async () => {
  for (let n = 0; n < steps; n += 1) await DBOS.runStep(async () => n, { name: "s" + n });
}, { name: "chain" });
const heavy = DBOS.registerWorkflow(async () => {
  for (let n = 0; n < steps; n += 1) await DBOS.runStep(noop, { name: "s" + n });
}, { name: "heavy" });
const one = DBOS.registerWorkflow(async () => { await DBOS.runStep(async () => 1, { name: "s" }); }, { name: "one" });
DBOS.setConfig({ name: "bench", systemDatabaseUrl: process.env.POSTGRES_URL, logLevel: "error", runAdminServer: false });
await DBOS.launch();
await chain();
const from = performance.now();
await chain();
console.log("chain", performance.now() - from);
const begun = performance.now();
await heavy();
console.log("process", performance.now() - begun);
const count = 500;
let left = count;
const since = performance.now();
await Promise.all(Array.from({ length: 20 }, async () => { while (left-- > 0) await one(); }));
console.log("rate", count / ((performance.now() - since) / 1000));
await DBOS.shutdown();
process.exit(0);
`;

const restate = `import * as restate from "@restatedev/restate-sdk";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
const steps = Number(process.argv[2]);
const noop = () => new Promise((go) => spawn("true", { stdio: "ignore" }).on("exit", () => go(0)));
const service = restate.service({ name: "bench", handlers: {
  heavy: async (ctx) => { for (let n = 0; n < steps; n += 1) await ctx.run("s" + n, noop); return steps; },
  chain: async (ctx) => { for (let n = 0; n < steps; n += 1) await ctx.run("s" + n, () => n); return steps; },
  one: async (ctx) => { await ctx.run("s", () => 1); return 1; },
} });
await restate.serve({ services: [service], port: 19080 });
const env = { ...process.env, RESTATE_INGRESS__BIND_ADDRESS: "127.0.0.1:18081", RESTATE_ADMIN__BIND_ADDRESS: "127.0.0.1:19071",
  RESTATE_BIND_ADDRESS: "127.0.0.1:15123", RUST_LOG: "error" };
const server = spawn("node_modules/.bin/restate-server", ["--base-dir", mkdtempSync("data-")], { stdio: "ignore", env });
const again = async (work) => { for (;;) { try { return await work(); } catch { await new Promise((go) => setTimeout(go, 200)); } } };
await again(async () => {
  const response = await fetch("http://127.0.0.1:19071/deployments", { method: "POST",
    headers: { "content-type": "application/json" }, body: JSON.stringify({ uri: "http://127.0.0.1:19080" }) });
  if (!response.ok) throw new Error(await response.text());
});
const call = async (handler) => {
  const response = await fetch("http://127.0.0.1:18081/bench/" + handler, { method: "POST" });
  if (!response.ok) throw new Error(await response.text());
  await response.text();
};
await again(() => call("chain"));
const from = performance.now();
await call("chain");
console.log("chain", performance.now() - from);
const begun = performance.now();
await call("heavy");
console.log("process", performance.now() - begun);
const count = 500;
let left = count;
const since = performance.now();
await Promise.all(Array.from({ length: 20 }, async () => { while (left-- > 0) await call("one"); }));
console.log("rate", count / ((performance.now() - since) / 1000));
server.kill("SIGKILL");
process.exit(0);
`;

const prefect = `import sys, time
from prefect import flow, task
N = int(sys.argv[1])
@task
def step(x):
    return x
@flow
def chain():
    x = 0
    for _ in range(N):
        x = step(x)
chain()
since = time.perf_counter()
chain()
print("chain", (time.perf_counter() - since) * 1000)
`;

const dagster = `import sys, time
from dagster import DagsterInstance, In, Nothing, job, op
N = int(sys.argv[1])
@op
def first():
    pass
@op(ins={"start": In(Nothing)})
def step():
    pass
@job
def chain():
    x = first()
    for i in range(N - 1):
        x = step.alias(f"s{i}")(x)
with DagsterInstance.get() as instance:
    chain.execute_in_process(instance=instance)
    since = time.perf_counter()
    chain.execute_in_process(instance=instance)
    print("chain", (time.perf_counter() - since) * 1000)
`;

const luigi = `import os, sys, time
import luigi
N = int(sys.argv[1])
class Step(luigi.Task):
    n = luigi.IntParameter()
    tag = luigi.Parameter()
    def requires(self):
        return [Step(n=self.n - 1, tag=self.tag)] if self.n > 0 else []
    def output(self):
        return luigi.LocalTarget(f"out/{self.tag}-{self.n}")
    def run(self):
        with self.output().open("w") as file:
            file.write("x")
luigi.build([Step(n=N - 1, tag="warm")], local_scheduler=True, log_level="ERROR")
since = time.perf_counter()
luigi.build([Step(n=N - 1, tag="timed")], local_scheduler=True, log_level="ERROR")
print("chain", (time.perf_counter() - since) * 1000)
`;

const metaflow = `import os, subprocess, sys, time
N = int(sys.argv[1])
lines = ["from metaflow import FlowSpec, step", "class Chain(FlowSpec):", "    @step", "    def start(self): self.next(self.s0)"]
for i in range(N - 2):
    after = f"s{i + 1}" if i < N - 3 else "end"
    lines += ["    @step", f"    def s{i}(self): self.next(self.{after})"]
lines += ["    @step", "    def end(self): pass", "if __name__ == '__main__': Chain()"]
open("flow.py", "w").write("\\n".join(lines))
since = time.perf_counter()
subprocess.run([sys.executable, "flow.py", "--quiet", "--no-pylint", "run"], check=True, stdout=subprocess.DEVNULL, env={**os.environ, "USERNAME": "bench"})
print("chain", (time.perf_counter() - since) * 1000)
`;

/** Airflow runs a DAG by itself with `dag.test()`, each task in this process, its states in SQLite. */
const airflow = `import os, subprocess, sys, time
N = int(sys.argv[1])
home = os.environ["AIRFLOW_HOME"]
os.makedirs(home + "/dags", exist_ok=True)
open(home + "/dags/chain.py", "w").write(f"""
from datetime import datetime
from airflow.sdk import dag, task
@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def chain():
    @task
    def step(x): return x
    x = 0
    for _ in range({N}): x = step(x)
chain()
""")
airflow = os.path.join(os.path.dirname(sys.executable), "airflow")
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.run([airflow, "db", "migrate"], check=True, **quiet)
def once():
    since = time.perf_counter()
    subprocess.run([airflow, "dags", "test", "chain"], check=True, **quiet)
    return time.perf_counter() - since
once()
print("chain", once() * 1000)
`;

/** Airflow as it is run in earnest on one machine: scheduler, DAG processor and API server, each task a process of its LocalExecutor. */
const airflowLocal = `import os, signal, socket, sqlite3, subprocess, sys, time
N = int(sys.argv[1])
home = os.environ["AIRFLOW_HOME"] + "/local"
os.makedirs(home + "/dags", exist_ok=True)
open(home + "/dags/chain.py", "w").write(f"""
from datetime import datetime
from airflow.sdk import dag, task
@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def chain():
    @task
    def step(x): return x
    x = 0
    for _ in range({N}): x = step(x)
chain()
""")
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
bin = os.path.dirname(sys.executable)
env = {**os.environ, "PATH": bin + ":" + os.environ["PATH"], "AIRFLOW_HOME": home, "AIRFLOW__CORE__EXECUTOR": "LocalExecutor", "AIRFLOW__API__PORT": str(port),
       "AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__WORKERS": "1", "AIRFLOW__CORE__PARALLELISM": "2",
       "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
       "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False", "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5"}
airflow = os.path.join(os.path.dirname(sys.executable), "airflow")
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": env}
def ask(sql):
    try:
        with sqlite3.connect(f"file:{home}/airflow.db?mode=ro", uri=True) as db:
            return db.execute(sql).fetchone()
    except sqlite3.OperationalError:
        return None
def until(sql, accept):
    while True:
        row = ask(sql)
        if row and accept(row):
            return row
        time.sleep(0.2)
server = subprocess.Popen([airflow, "standalone"], start_new_session=True, **quiet)
try:
    until("select count(*) from dag where dag_id = 'chain'", lambda row: row[0] > 0)
    took = []
    for n in range(2):
        subprocess.run([airflow, "dags", "trigger", "chain", "--run-id", f"r{n}"], check=True, **quiet)
        state, = until(f"select state from dag_run where run_id = 'r{n}'", lambda row: row[0] in ("success", "failed"))
        assert state == "success", state
        took.append(ask(f"select (julianday(end_date) - julianday(start_date)) * 86400000 from dag_run where run_id = 'r{n}'")[0])
    print("chain", took[-1])
finally:
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(60)
`;

export const peers: readonly Peer[] = [
  {
    name: "DBOS (PostgreSQL)",
    step: "function",
    durable: "each step, synced",
    steps: 100,
    install: { npm: ["@dbos-inc/dbos-sdk"] },
    file: "dbos.mjs",
    program: dbos,
  },
  {
    name: "Restate",
    step: "function",
    durable: "each step, its log",
    steps: 100,
    install: { npm: ["@restatedev/restate-server", "@restatedev/restate-sdk"] },
    file: "restate.mjs",
    program: restate,
  },
  {
    name: "Prefect",
    step: "function",
    durable: "states, SQLite",
    steps: 100,
    install: { pip: ["prefect", "fastapi<0.140"] },
    file: "chain.py",
    program: prefect,
  },
  {
    name: "Dagster",
    step: "function",
    durable: "events, SQLite",
    steps: 100,
    install: { pip: ["dagster"] },
    file: "chain.py",
    program: dagster,
  },
  {
    name: "Luigi",
    step: "function",
    durable: "its output file",
    steps: 100,
    install: { pip: ["luigi"] },
    file: "chain.py",
    program: luigi,
  },
  {
    name: "Metaflow",
    step: "process",
    durable: "files, not synced",
    steps: 20,
    install: { pip: ["metaflow"] },
    file: "chain.py",
    program: metaflow,
  },
  {
    name: "Airflow (dags test)",
    step: "function",
    durable: "states, SQLite",
    steps: 20,
    install: { pip: ["apache-airflow"] },
    file: "chain.py",
    program: airflow,
  },
  {
    name: "Airflow (LocalExecutor)",
    step: "process",
    durable: "states, SQLite",
    steps: 10,
    install: { pip: ["apache-airflow"] },
    file: "chain.py",
    program: airflowLocal,
  },
];
