// ocpp-rpc in strict mode, both roles. Writes one JSON array a line: ["listening", port], ["got", action, params],
// ["answer", action, result], ["invalid", text], ["done", identity].
const { RPCServer, RPCClient } = require("ocpp-rpc");

const [role, protocol, url, identity, password] = process.argv.slice(2);
const now = "2026-11-23T18:00:00Z";
const accepted = { status: "Accepted" };
const say = (...words) => console.log(JSON.stringify(words));
const invalid = ({ error }) => say("invalid", String(error));
// its release 2.2.1 names the schemas of 2.1 otherwise than it looks for them, so that nothing of 2.1 is valid to it
const strict = protocol !== "ocpp2.1";
const two = protocol !== "ocpp1.6";

const answers = {
  BootNotification: () => ({ currentTime: new Date().toISOString(), interval: 300, status: "Accepted" }),
  Heartbeat: () => ({ currentTime: new Date().toISOString() }),
  StatusNotification: () => ({}),
  Authorize: () => (two ? { idTokenInfo: accepted } : { idTagInfo: accepted }),
  StartTransaction: () => ({ transactionId: 4711, idTagInfo: accepted }),
  StopTransaction: () => ({}),
  MeterValues: () => ({}),
  TransactionEvent: () => ({}),
};

async function ask(client, action, params) {
  try {
    say("answer", action, await client.call(action, params));
  } catch (error) {
    say("answer", action, { code: error.rpcErrorCode, text: error.message });
  }
}

async function serve() {
  const server = new RPCServer({ protocols: [protocol], strictMode: strict });
  server.auth((accept, reject, { password: given }) =>
    password && String(given) !== password ? reject(401) : accept());
  server.on("client", (client) => {
    client.on("strictValidationFailure", invalid);
    client.on("badMessage", ({ error }) => say("invalid", String(error)));
    client.handle(({ method, params }) => {
      say("got", method, params);
      return answers[method]();
    });
  });
  const http = await server.listen(0, "127.0.0.1");
  say("listening", http.address().port);
  process.stdin.on("data", async (line) => {
    const [action, params] = JSON.parse(String(line));
    for (const client of server._clients) await ask(client, action, params);
  });
}

const event = (eventType, seqNo, more) => ({
  eventType, seqNo, timestamp: now, triggerReason: "MeterValuePeriodic",
  transactionInfo: { transactionId: "rpc-1" }, evse: { id: 1, connectorId: 1 },
  meterValue: [{ timestamp: now, sampledValue: [{ value: 1000.5 + seqNo }] }], ...more,
});

async function station() {
  const client = new RPCClient({ endpoint: url, identity, protocols: [protocol], strictMode: strict, password });
  client.on("strictValidationFailure", invalid);
  client.handle(({ method, params }) => {
    say("got", method, params);
    if (method === "GetVariables") throw new Error("the test's fault");
    return accepted;
  });
  await client.connect();
  if (two) {
    await ask(client, "BootNotification",
      { reason: "PowerUp", chargingStation: { model: "R", vendorName: "V" } });
    await ask(client, "StatusNotification",
      { timestamp: now, connectorStatus: "Occupied", evseId: 1, connectorId: 1 });
    await ask(client, "TransactionEvent", event("Started", 0, { idToken: { idToken: "T1", type: "Central" } }));
    await ask(client, "TransactionEvent", event("Updated", 1));
    await ask(client, "TransactionEvent", event("Ended", 2));
  } else {
    await ask(client, "BootNotification", { chargePointVendor: "V", chargePointModel: "R" });
    await ask(client, "StatusNotification", { connectorId: 1, errorCode: "NoError", status: "Preparing" });
    await ask(client, "StartTransaction", { connectorId: 1, idTag: "T1", meterStart: 1000, timestamp: now });
    await ask(client, "MeterValues",
      { connectorId: 1, meterValue: [{ timestamp: now, sampledValue: [{ value: "1001" }] }] });
  }
  await ask(client, "Heartbeat", {});
  say("done", identity);
}

(role === "serve" ? serve() : station()).catch((error) => {
  say("invalid", String(error));
  process.exit(1);
});
