/**
 * The one relational schema, as Kysely's types. Text, integers and reals only, so that SQLite and PostgreSQL agree:
 * instants are ISO 8601 text, flags are 0 or 1, structured values are JSON text.
 */
import type { Generated } from "kysely";

export type Schema = {
  project: { name: string; description: string; created: string; parallelism: number | null };
  project_user: { project: string; name: string; email: string; password: string };
  codeset: { project: string; name: string; description: string; labels: string; created: string };
  artifact: {
    seq: Generated<number>;
    address: string;
    kind: string;
    project: string;
    name: string;
    version: string;
    location: string;
    digest: string;
    labels: string;
    metadata: string;
    run_id: string | null;
    created: string;
  };
  /** Names that move: `head` of a codeset is the newest commit of its default branch. */
  artifact_tag: { kind: string; project: string; name: string; tag: string; version: string };
  lineage_edge: { source: string; target: string; relation: string; created: string };
  workflow: { name: string; version: number; created: string; updated: string };
  workflow_version: { name: string; version: number; digest: string; definition: string; created: string };
  assignment: {
    id: string;
    workflow: string;
    project: string;
    bindings: string;
    values: string;
    created: string;
    newer: string;
    schedule: string | null;
    next_moment: string | null;
  };
  run: {
    id: string;
    workflow: string;
    workflow_version: number;
    project: string;
    assignment_id: string | null;
    match_key: string | null;
    cause: string;
    pins: string;
    status: string;
    error: string | null;
    outputs: string;
    created: string;
    started: string | null;
    ended: string | null;
    /** The replica that drives it. */
    owner: string | null;
    deadline: string | null;
    stepwise: number;
    /** In place of the workflow version's, when it was edited for this run. */
    definition: string | null;
    /** Runs with the same key wait for each other, or end each other. */
    queue_key: string | null;
    queued: number;
    cancel_requested: string | null;
    no_cache: number;
  };
  /** Which codesets a run runs on, to find it by them. */
  run_codeset: { project: string; name: string; run_id: string };
  step_run: {
    run_id: string;
    ordinal: number;
    name: string;
    /** Of the definition. */
    step: string;
    /** In a matrix. */
    idx: number | null;
    combination: string | null;
    state: string;
    status: string;
    extensions: string;
    attempt: number;
    base: number;
    passes: string;
    reuse: string | null;
    segment_id: string | null;
  };
  /** Tries that failed and were followed by another one. */
  attempt: {
    run_id: string;
    name: string;
    attempt: number;
    segment_id: string;
    started: string;
    ended: string;
    error: string;
  };
  cache_entry: {
    key: string;
    workflow: string;
    step: string;
    project: string;
    parts: string;
    run_id: string;
    step_run: string;
    outputs: string;
    /** Digests of what the outputs point to. */
    witnesses: string;
    created: string;
    used: string;
  };
  webhook: {
    name: string;
    url: string;
    types: string;
    project: string;
    workflow: string;
    /** Sealed. */
    secret: string;
    cursor: number;
    failures: number;
    next_try: string | null;
    last_error: string | null;
    created: string;
  };
  /** Server processes over one database. */
  replica: { id: string; url: string; host: string; beat: number };
  segment: { id: string; run_id: string; ordinal: number; agent: string; spec: string; ended: number };
  event: { seq: Generated<number>; subject: string; type: string; data: string; time: string };
  extension: {
    id: string;
    product: string;
    version: string;
    description: string;
    zone: string;
    configuration: string;
    registered: string;
    updated: string;
  };
  extension_service: {
    extension_id: string;
    id: string;
    resource: string;
    category: string;
    description: string;
    auth_required: number;
    configuration: string;
    registered: string;
    updated: string;
  };
  extension_endpoint: { extension_id: string; service_id: string; url: string; type: string; configuration: string };
  extension_credentials: {
    extension_id: string;
    service_id: string;
    id: string;
    is_default: number;
    scope: string;
    projects: string;
    users: string;
    /** Sealed. */
    configuration: string;
    created: string;
    updated: string;
  };
  application: {
    name: string;
    type: string;
    description: string;
    url: string;
    workflow: string;
    k8s_namespace: string;
    k8s_resources: string;
    revision: number;
    created: string;
    updated: string;
  };
  application_revision: {
    application: string;
    revision: number;
    run_id: string | null;
    model: string | null;
    created: string;
  };
  runnable: { id: string; kind: string; body: string; created: string };
  token: { hash: string; name: string; run_id: string | null; created: string; roles: string };
  inference_service: {
    namespace: string;
    name: string;
    generation: number;
    spec: string;
    metadata: string;
    revisions: string;
    created: string;
  };
  /** Secrets and service accounts of the embedded serving platform; the body is sealed. */
  kubernetes_object: { kind: string; namespace: string; name: string; body: string };
  installed_bundle: { name: string; state: string; created: string };
};
