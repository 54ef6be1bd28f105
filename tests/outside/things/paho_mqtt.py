"""paho-mqtt, with MQTT 3.1.1 and with MQTT 5 and its properties."""

import queue
import ssl

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from things.base import WAIT_S, PlainThing


def properties(packet, **values):
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class PahoThing(PlainThing):
    def __init__(self, site, name, version=mqtt.MQTTv311):
        super().__init__(site, name)
        self.is_v5 = version == mqtt.MQTTv5
        self.connection = Connection(site, name, version)
        self.connection.on_message = self.heard
        self.connection.open()
        codes = self.connection.subscribe([self.prefix + "notify", self.prefix + "notify-next"])
        assert codes == [1, 1], codes

    def publish(self, topic, payload):
        with_each = properties(PacketTypes.PUBLISH, ContentType="application/json", UserProperty=("made by", "paho")) if self.is_v5 else None
        self.connection.client.publish(topic, payload, qos=1, properties=with_each)

    def close(self):
        self.connection.close()


class Connection:
    """One session, whose ends and acknowledgements can be waited for."""

    def __init__(self, site, name, version=mqtt.MQTTv311, certificate=None, **settings):
        self.address = site.mqtt
        self.is_v5 = version == mqtt.MQTTv5
        self.connected, self.ended, self.acknowledged, self.published = queue.Queue(), queue.Queue(), queue.Queue(), queue.Queue()
        self.on_message = lambda _topic, _payload: None
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version, **settings)
        certificate, key = certificate or site.certificate(name)
        client.tls_set(str(site.ca), str(certificate), str(key), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.reconnect_on_failure = False
        client.on_connect = lambda _c, _u, flags, code, properties: self.connected.put((flags, code, properties))
        client.on_disconnect = lambda _c, _u, _flags, code, _p: self.ended.put(code)
        client.on_message = lambda _c, _u, message: self.on_message(message.topic, message.payload)
        client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.acknowledged.put([code.value for code in codes])
        client.on_publish = lambda _c, _u, _mid, code, _p: self.published.put(code.value)
        self.client = client

    def open(self, keepalive=60, **options):
        """CONNECT and its CONNACK: flags, reason code, properties."""
        host, port = self.address
        self.client.connect(host, port, keepalive=keepalive, **options)
        self.client.loop_start()
        flags, code, answered = self.connected.get(timeout=WAIT_S)
        assert not code.is_failure, code
        return flags, code, answered

    def subscribe(self, filters, qos=1):
        self.client.subscribe([(name, qos) for name in filters] if not self.is_v5 else [(name, mqtt.SubscribeOptions(qos=qos)) for name in filters])
        return self.acknowledged.get(timeout=WAIT_S)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
