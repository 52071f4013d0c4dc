import { formatAddress } from "@fuseml/core/artifact/address";
import { failure } from "@fuseml/core/errors";
import { applicationSubject } from "../artifacts/service.ts";
import { type Clock, instant } from "../platform/clock.ts";
import { runSubject } from "../runs/subjects.ts";
import type { Store } from "../state/store.ts";
import type { ApplicationRevision, StoredApplication } from "./repository.ts";

/** Removes what serves an application. Given by the serving platform. */
export interface ApplicationResources {
  remove(namespace: string, resource: { readonly name: string; readonly kind: string }): Promise<void>;
}

export type ApplicationGiven = Pick<
  StoredApplication,
  "name" | "type" | "description" | "url" | "workflow" | "k8s_namespace" | "k8s_resources"
>;

/** What serves: name, type, URL, and the run that made it. */
export class ApplicationService {
  private readonly parts: { store: Store; clock: Clock; resources: ApplicationResources };

  constructor(parts: ApplicationService["parts"]) {
    this.parts = parts;
  }

  /**
   * Registers an application, or a new revision of the one with this name.
   * @param from the run that calls and where the model is that it serves, for lineage
   */
  async register(
    given: ApplicationGiven,
    from: { runId?: string | undefined; model?: string | undefined },
  ): Promise<StoredApplication> {
    const { store, clock } = this.parts;
    return store.transaction(async (unit) => {
      const now = instant(clock);
      const present = await unit.applications.get(given.name);
      const model = from.model ? await unit.artifacts.atLocation(from.model) : undefined;
      const application = {
        ...given,
        revision: (present?.revision ?? 0) + 1,
        created: present?.created ?? now,
        updated: now,
      };
      await unit.applications.save(application, {
        application: given.name,
        revision: application.revision,
        run_id: from.runId ?? null,
        model: model ? formatAddress(model.address) : null,
        created: now,
      });
      const source = model ? formatAddress(model.address) : from.runId ? runSubject(from.runId) : undefined;
      if (source)
        await unit.artifacts.link({
          source,
          target: applicationSubject(given.name),
          relation: "served-by",
          created: now,
        });
      return application;
    });
  }

  list(filter: { type?: string | undefined; workflow?: string | undefined }): Promise<StoredApplication[]> {
    return this.parts.store.read.applications.list(filter);
  }

  /** @throws `application.not-found` */
  async get(name: string): Promise<StoredApplication> {
    const application = await this.parts.store.read.applications.get(name);
    if (!application) throw failure("application.not-found", { name });
    return application;
  }

  async revisions(name: string): Promise<ApplicationRevision[]> {
    await this.get(name);
    return this.parts.store.read.applications.revisions(name);
  }

  /** Removes the application and what serves it. @throws `application.not-found` */
  async remove(name: string): Promise<void> {
    const application = await this.get(name);
    for (const resource of application.k8s_resources)
      await this.parts.resources.remove(application.k8s_namespace, resource);
    await this.parts.store.transaction((unit) => unit.applications.remove(name));
  }
}
