/** The rules of the house (ARCHITECTURE.md, "Rules of the house"), as the linter reads them. */
const forbid = (name, comment, from, to) => ({ name, comment, severity: "error", from, to });

export default {
  forbidden: [
    forbid(
      "no-cycles",
      "two files that need each other are one room or miss a third",
      {},
      { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    ),
    forbid(
      "core-is-pure-of-ours",
      "core imports nothing of ours",
      { path: "^packages/core/src" },
      { path: "^packages/(?!core)" },
    ),
    forbid(
      "core-is-pure-of-node",
      "core runs in a browser too (its tests may use node:test)",
      { path: "^packages/core/src", pathNot: "\\.test\\.ts$|write-json-schema\\.ts$" },
      { dependencyTypes: ["core"] },
    ),
    forbid(
      "outside-reaches-server-through-client",
      "cli, web and steps reach the server through the client only",
      { path: "^packages/(cli|web|steps)/" },
      { path: "^packages/server/" },
    ),
    forbid(
      "client-takes-types-only",
      "the client takes the route types from the server and nothing at run time",
      { path: "^packages/client/" },
      { path: "^packages/server/", dependencyTypesNot: ["type-only"] },
    ),
    forbid(
      "resources-see-ports-not-adapters",
      "a resource never imports an agent, a store or serving: it sees their ports",
      {
        path: "^packages/server/src/(projects|codesets|artifacts|workflows|runs|extensions|applications|webhooks|registry|runnables)/",
      },
      { path: "^packages/server/src/(agents|stores|serving|api)/" },
    ),
    forbid(
      "platform-knows-no-domain",
      "platform is plumbing that knows no domain word",
      { path: "^packages/server/src/platform/" },
      { path: "^packages/server/src/(?!platform)" },
    ),
    forbid(
      "only-main-wires-adapters",
      "main.ts is the only place where adapters are wired",
      {
        path: "^packages/server/src/",
        pathNot:
          "^packages/server/src/(main|compose[a-z-]*)\\.ts$|\\.(test|fixture)\\.ts$|^packages/server/src/(agents|stores|serving)/",
      },
      {
        path: "^packages/server/src/(agents|stores|serving)/",
        pathNot: "/repository\\.ts$",
        dependencyTypesNot: ["type-only"],
      },
    ),
    forbid(
      "no-orphans",
      "a file nobody imports is dead",
      { orphan: true, pathNot: "(main|\\.test|\\.fixture|write-json-schema)\\.ts$|\\.d\\.ts$" },
      {},
    ),
    forbid(
      "declared-only",
      "import what package.json declares (tests take their tools from the root)",
      { pathNot: "\\.(test|conformance|fixture)\\.ts$|^(test|bench)/" },
      { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    ),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: "specify",
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
      extensions: [".ts", ".js", ".mjs"],
    },
  },
};
