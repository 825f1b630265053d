// What people do with MQTT.js. Arguments: user, password, messages, URLs.
const assert = require("node:assert");
const mqtt = require("mqtt");

const [username, password, count, ...urls] = process.argv.slice(2);

const connect = (url, options) =>
  mqtt.connectAsync(url, { username, password, reconnectPeriod: 0, ...options });

async function exchange(url, protocolVersion, qos) {
  const protocolId = protocolVersion === 3 ? "MQIsdp" : "MQTT";
  const client = await connect(url, { protocolVersion, protocolId });
  const topic = `exchange/${protocolVersion}/${qos}`;
  const sent = Array.from({ length: Number(count) }, (_, number) => `${number}`);
  const received = [];
  const all = new Promise((resolve) => {
    client.on("message", (_, payload) => {
      received.push(payload.toString());
      if (received.length === sent.length) resolve();
    });
  });
  await client.subscribeAsync(topic, { qos });
  await Promise.all(sent.map((payload) => client.publishAsync(topic, payload, { qos })));
  await all;
  assert.deepStrictEqual(received, sent);
  await client.endAsync();
}

async function properties(url) {
  const client = await connect(url, {
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 60, topicAliasMaximum: 10 },
    autoAssignTopicAlias: true,
  });
  const sent = {
    contentType: "text/plain",
    responseTopic: "answers",
    correlationData: Buffer.from([0, 255]),
    userProperties: { colour: ["red", "blue"] },
  };
  const packets = [];
  const both = new Promise((resolve) => {
    client.on("message", (topic, payload, packet) => {
      packets.push([topic, payload.toString(), packet.properties]);
      if (packets.length === 2) resolve();
    });
  });
  await client.subscribeAsync("aliased/+", { qos: 1, properties: { subscriptionIdentifier: 7 } });
  for (const payload of ["first", "second"]) {
    await client.publishAsync("aliased/topic", payload, { qos: 1, properties: { ...sent } });
  }
  await both;
  packets.forEach(([topic, payload, properties], index) => {
    assert.strictEqual(payload, ["first", "second"][index]);
    assert.strictEqual(topic || "aliased/topic", "aliased/topic");
    assert.strictEqual(properties.subscriptionIdentifier, 7);
    assert.strictEqual(properties.contentType, sent.contentType);
    assert.strictEqual(properties.responseTopic, sent.responseTopic);
    assert.deepStrictEqual(properties.correlationData, sent.correlationData);
    assert.deepStrictEqual({ ...properties.userProperties }, sent.userProperties);
  });
  await client.endAsync();
}

async function will(url) {
  const heir = await connect(url);
  const gone = new Promise((resolve) => heir.once("message", (_, payload) => resolve(payload)));
  await heir.subscribeAsync("will", { qos: 1 });
  const dying = await connect(url, { will: { topic: "will", payload: "gone", qos: 1 } });
  dying.stream.destroy();
  assert.strictEqual((await gone).toString(), "gone");
  await heir.endAsync();
}

async function main() {
  for (const url of urls) {
    for (const protocolVersion of [3, 4, 5]) {
      for (const qos of [0, 1, 2]) await exchange(url, protocolVersion, qos);
    }
    await properties(url);
    await will(url);
    await assert.rejects(connect(url, { password: "wrong" }), { code: 4 });
    await assert.rejects(connect(url, { password: "wrong", protocolVersion: 5 }), { code: 134 });
  }
  console.log("all is well");
}

main();
