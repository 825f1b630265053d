"""What people do with paho-mqtt, over TCP and WebSocket.

Arguments: TCP port, WebSocket port, user, password, callback API (1 or 2), messages.
"""

import itertools
import sys

import paho.mqtt.client as mqtt
from paho.mqtt import publish, subscribe
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

HOST = "127.0.0.1"
PORTS = {"tcp": int(sys.argv[1]), "websockets": int(sys.argv[2])}
USER, PASSWORD = sys.argv[3:5]
CALLBACK_API, COUNT = map(int, sys.argv[5:7])
# Messages on their way at once. At QoS 2 paho counts what it receives as its own acknowledged, and
# would send more than the 20 that Mosquitto's defaults take.
WINDOW = 20


def client(transport, protocol, password=PASSWORD):
    """A client of the callback API that is asked for; 1.x has no choice."""
    api = []
    if hasattr(mqtt, "CallbackAPIVersion"):
        api = [mqtt.CallbackAPIVersion(CALLBACK_API)]
    result = mqtt.Client(*api, transport=transport, protocol=protocol)
    result.username_pw_set(USER, password)
    return result


def single_and_simple(transport):
    where = dict(
        hostname=HOST,
        port=PORTS[transport],
        transport=transport,
        auth={"username": USER, "password": PASSWORD},
    )
    topic = f"single/{transport}"
    publish.single(topic, "kept", qos=1, retain=True, **where)
    message = subscribe.simple(topic, qos=1, **where)
    assert (message.payload, message.retain) == (b"kept", True)
    publish.multiple([(f"{topic}/a", "1", 2, True), (f"{topic}/b", "2", 0, True)], **where)
    messages = subscribe.simple(f"{topic}/+", msg_count=2, **where)
    assert sorted(m.payload for m in messages) == [b"1", b"2"]


def loop_forever(transport, protocol, qos):
    topic = f"loop/{transport}/{protocol}/{qos}"
    sent = [f"{number}".encode() for number in range(COUNT)]
    to_send = iter(sent)
    received = []

    def publish_next(client):
        for payload in itertools.islice(to_send, 1):
            client.publish(topic, payload, qos)

    def on_subscribe(client, *_):
        for _ in range(WINDOW):
            publish_next(client)

    def on_message(client, _, message):
        received.append(message.payload)
        publish_next(client)
        if len(received) == COUNT:
            client.disconnect()

    one = client(transport, protocol)
    one.on_connect = lambda client, *_: client.subscribe(topic, qos)
    one.on_subscribe = on_subscribe
    one.on_message = on_message
    one.connect(HOST, PORTS[transport])
    one.loop_forever()
    assert received == sent, received


def properties(transport):
    """All properties of a PUBLISH go through; a new session is not present."""
    topic = f"properties/{transport}"
    sent = Properties(PacketTypes.PUBLISH)
    sent.ContentType = "text/plain"
    sent.PayloadFormatIndicator = 1
    sent.ResponseTopic = "answers"
    sent.CorrelationData = b"\x00\xff"
    sent.MessageExpiryInterval = 600
    sent.UserProperty = [("b", "2"), ("a", "1"), ("b", "3")]
    subscription = Properties(PacketTypes.SUBSCRIBE)
    subscription.SubscriptionIdentifier = 268435455
    received = []

    def on_connect(client, _, flags, reason, properties):
        present = flags["session present"] if isinstance(flags, dict) else flags.session_present
        assert not present
        client.subscribe(topic, options=mqtt.SubscribeOptions(qos=2), properties=subscription)

    def on_message(client, _, message):
        received.append(message)
        client.disconnect()

    one = client(transport, mqtt.MQTTv5)
    one.on_connect = on_connect
    one.on_subscribe = lambda client, *_: client.publish(topic, "héllo", 2, properties=sent)
    one.on_message = on_message
    connection = Properties(PacketTypes.CONNECT)
    connection.SessionExpiryInterval = 60
    one.connect(HOST, PORTS[transport], clean_start=True, properties=connection)
    one.loop_forever()
    message = received[0]
    assert message.payload == "héllo".encode()
    for name in ["ContentType", "PayloadFormatIndicator", "ResponseTopic", "CorrelationData",
                 "UserProperty"]:
        assert getattr(message.properties, name) == getattr(sent, name), name
    assert 590 <= message.properties.MessageExpiryInterval <= 600
    assert message.properties.SubscriptionIdentifier == [268435455]


def wrong_password(transport, protocol):
    reasons = []

    def on_connect(client, _, flags, reason, *rest):
        reasons.append(getattr(reason, "value", reason))
        client.disconnect()

    one = client(transport, protocol, "wrong")
    one.on_connect = on_connect
    one.connect(HOST, PORTS[transport])
    one.loop_forever()
    assert reasons in ([4], [134]), reasons


for transport in PORTS:
    single_and_simple(transport)
    for protocol in [mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5]:
        for qos in [0, 1, 2]:
            loop_forever(transport, protocol, qos)
        wrong_password(transport, protocol)
    properties(transport)
print("all is well")
