// The peer in Node: ocpp-rpc in strict mode. Prints its port. NODE_PATH says where ocpp-rpc is.
const { RPCServer } = require("ocpp-rpc");

const now = "2026-11-23T18:00:00Z";
const accepted = { status: "Accepted" };
const server = new RPCServer({ protocols: ["ocpp1.6", "ocpp2.0.1"], strictMode: true });
let values = 0;

server.auth((accept) => accept());
server.on("client", (client) => {
  client.on("strictValidationFailure", ({ error }) => console.error(String(error)));
  client.handle("BootNotification", () => ({ currentTime: now, interval: 300, status: "Accepted" }));
  client.handle("StatusNotification", () => ({}));
  client.handle("Authorize", ({ params }) => ("idTag" in params ? { idTagInfo: accepted } : { idTokenInfo: accepted }));
  client.handle("StartTransaction", () => ({ transactionId: 4711, idTagInfo: accepted }));
  client.handle("MeterValues", ({ params }) => {
    values += params.meterValue[0].sampledValue.length;
    return {};
  });
  client.handle("TransactionEvent", () => ({}));
});
server.listen(0, "127.0.0.1").then((http) => console.log(http.address().port));
