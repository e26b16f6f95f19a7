// Calls the operations that it is told with the official npm SDK and prints what the SDK made of each answer.
//
// Reads from standard input: { modules, endpoint, key, secret, ca, steps }. A step is an operation, its fields
// by their names on the wire, `files` for an Advance call, `until` for one that is repeated until its first
// task has that status. Prints one JSON list: each answer's body as the SDK's typed model has it.
"use strict";

const fs = require("node:fs");
const { createRequire } = require("node:module");

const told = JSON.parse(fs.readFileSync(0, "utf8"));
const need = createRequire(`${told.modules}/`);
const { default: Client, ...models } = need("@alicloud/imagesearch20201214");
const dara = createRequire(need.resolve("@alicloud/imagesearch20201214"))("@darabonba/typescript");
const core = createRequire(need.resolve("@alicloud/imagesearch20201214"))("@alicloud/openapi-core");

const client = new Client(
  new core.$OpenApiUtil.Config({
    accessKeyId: told.key,
    accessKeySecret: told.secret,
    endpoint: told.endpoint,
    protocol: "HTTP",
    regionId: "ap-southeast-1",
  }),
);
client._openPlatformEndpoint = told.endpoint;

function status(body) {
  const data = body.Data;
  const tasks = data.DumpMetaList ?? data.Increments.Instance;
  return tasks[0].Status;
}

async function called(step) {
  const method = step.operation[0].toLowerCase() + step.operation.slice(1);
  const advance = step.files !== undefined;
  const Request = models[`${step.operation}${advance ? "Advance" : ""}Request`];
  const request = dara.cast(step.fields, new Request({}));
  for (const [name, path] of Object.entries(step.files ?? {})) {
    request[`${name[0].toLowerCase()}${name.slice(1)}Object`] = fs.createReadStream(path);
  }
  const answer = advance
    ? await client[`${method}Advance`](request, new dara.RuntimeOptions({ ca: told.ca }))
    : await client[method](request);
  if (answer.statusCode !== 200) {
    throw new Error(`${step.operation}: HTTP ${answer.statusCode}`);
  }
  return answer.body.toMap();
}

async function main() {
  const bodies = [];
  for (const step of told.steps) {
    let body = await called(step);
    while (step.until !== undefined && status(body) === "PROCESSING") {
      body = await called(step);
    }
    bodies.push(body);
  }
  process.stdout.write(JSON.stringify(bodies));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
