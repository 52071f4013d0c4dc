/** What a waiting step waits for, in words. */
export function describeGate(gate: { type: string; [field: string]: unknown }): string {
  switch (gate.type) {
    case "approval": {
      const by = Array.isArray(gate.by) && gate.by.length > 0 ? ` by ${gate.by.join(" or ")}` : "";
      const until = typeof gate.until === "string" ? ` until ${gate.until}` : "";
      const message = typeof gate.message === "string" ? `: ${gate.message}` : "";
      return `approval${by}${until}${message}`;
    }
    case "window":
      return `its window, from ${String(gate.opens)}`;
    case "retry":
      return `the next try, at ${String(gate.opens)}`;
    case "pause":
      return "fuseml run next";
    default:
      return gate.type;
  }
}
