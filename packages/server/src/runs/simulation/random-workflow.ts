import { type WorkflowDefinition, workflowDefinition } from "@fuseml/core/workflow/definition";
import type { Random } from "./random.ts";

/** Any workflow: one to five steps with everything that decides when a step runs. */
export function randomWorkflow(random: Random, name: string): WorkflowDefinition {
  const dataflow = random.chance(0.5);
  const count = 1 + random.below(5);
  const steps = Array.from({ length: count }, (_, index) => {
    const earlier = Array.from({ length: index }, (_of, at) => `s${at}`);
    const after = dataflow ? earlier.filter(() => random.chance(0.4)) : [];
    const of = random.chance(0.3) ? random.pick(earlier) : undefined;
    return {
      name: `s${index}`,
      image: "sim",
      outputs: [{ name: "o" }],
      ...(after.length > 0 ? { after } : {}),
      ...(of ? { inputs: [{ name: "x", value: `{{ steps.${of}.outputs.o }}` }] } : {}),
      ...(random.chance(0.2) ? { retries: { limit: 1 + random.below(2), backoff: "1s" } } : {}),
      ...(random.chance(0.15) ? { approval: random.chance(0.3) ? { timeout: "60s" } : {} } : {}),
      ...(random.chance(0.15) ? { when: random.chance(0.5) ? "inputs.mode == 'x'" : "inputs.mode == 'y'" } : {}),
      ...(random.chance(0.2) ? { matrix: { n: random.chance(0.5) ? [1, 2, 3] : "{{ inputs.list }}" } } : {}),
      ...(random.chance(0.15) ? { cache: true } : {}),
      ...(random.chance(0.2) ? { zone: "b" } : {}),
    };
  });
  return workflowDefinition.parse({
    name,
    order: dataflow ? "dataflow" : "listed",
    ...(random.chance(0.1) ? { timeout: "5m" } : {}),
    inputs: [
      { name: "mode", default: "x" },
      { name: "list", default: "1,2" },
    ],
    steps,
  });
}
