/**
 * The one relational schema, as Kysely's types. Text, integers and reals only, so that SQLite and PostgreSQL agree:
 * instants are ISO 8601 text, flags are 0 or 1, structured values are JSON text.
 */
import type { Generated } from "kysely";

export type Schema = {
  project: { name: string; description: string; created: string };
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
  assignment: { id: string; workflow: string; project: string; bindings: string; values: string; created: string };
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
  };
  step_run: {
    run_id: string;
    ordinal: number;
    name: string;
    state: string;
    status: string;
    extensions: string;
  };
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
  token: { hash: string; name: string; run_id: string | null; created: string };
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
