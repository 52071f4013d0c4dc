import { failure } from "@fuseml/core/errors";
import { z } from "zod";
import { type AccessService, adminRole } from "../access/service.ts";
import { type Actor, route } from "../platform/http/route.ts";
import { instant, name, named } from "./shared.ts";

const token = z.object({ name: z.string(), roles: z.array(z.string()), created: instant }).meta({ id: "Token" });
const tag = "token";

/** @throws `auth.forbidden` */
function adminOnly(actor: Actor): void {
  if (actor.kind === "open" || (actor.kind === "token" && actor.roles.includes(adminRole))) return;
  throw failure("auth.forbidden", { what: `tokens are given by those with the role ${adminRole}` });
}

/** Tokens by which people and programs call the server. */
export const tokenRoutes = ({ access }: { access: AccessService }) => ({
  "GET /tokens": route({
    tag,
    summary: "List tokens, without their text",
    reply: z.array(token),
    handler: async ({ actor }) => {
      adminOnly(actor);
      return (await access.list()).map(({ name: of, roles, created }) => ({ name: of, roles: [...roles], created }));
    },
  }),
  "POST /tokens": route({
    tag,
    summary: "Make a token; its text is told once",
    body: z.object({ name, roles: z.array(name).default([]) }),
    reply: z.object({ name: z.string(), token: z.string() }),
    status: 201,
    errors: ["token.exists", "auth.forbidden"],
    handler: async ({ body, actor }) => {
      adminOnly(actor);
      return { name: body.name, token: await access.create(body.name, body.roles) };
    },
  }),
  "DELETE /tokens/{name}": route({
    tag,
    summary: "Make a token invalid",
    params: named,
    reply: null,
    errors: ["token.not-found", "auth.forbidden"],
    handler: ({ params, actor }) => {
      adminOnly(actor);
      return access.revoke(params.name);
    },
  }),
});
