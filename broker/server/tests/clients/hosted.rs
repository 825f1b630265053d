//! Devices that were made for a hosted service and keep its topics.

use crate::broker::{Broker, directory, passwd};
use crate::mosquitto::{publish, received, subscribe};

/// `{user}/feeds/{key}`, with the account's key as password.
#[test]
fn feeds_of_a_user() {
    let directory = directory();
    let key = "aio_0123456789abcdefABCDEF";
    passwd(&directory.path().join("users"), "ada", key);
    passwd(&directory.path().join("users"), "eve", "other");
    std::fs::write(
        directory.path().join("acl"),
        "pattern readwrite %u/feeds/#\n",
    )
    .expect("a file");
    let broker = Broker::configured(
        directory,
        "access.allow_anonymous = false\naccess.password_file = \"users\"\naccess.acl_file = \"acl\"\n",
    );
    let port = &broker.port(0);
    let feed = ["-t", "ada/feeds/lab.temperature", "-q", "1"];
    let ada = ["-u", "ada", "-P", key];
    let eve = ["-u", "eve", "-P", "other"];

    let subscriber = subscribe(port, &[&feed[..], &ada, &["-C", "1"]].concat());
    publish(port, &[&feed[..], &eve, &["-m", "99.9"]].concat());
    publish(port, &[&feed[..], &ada, &["-m", "22.5"]].concat());
    assert_eq!(received(subscriber), ["ada/feeds/lab.temperature 1 0 22.5"]);
}

/// `channels/{id}/publish/{key}`, the key in the topic and fields in the payload.
#[test]
fn fields_of_a_channel() {
    let directory = directory();
    let acl = "topic write channels/1417/publish/XX2KEY\n\
               user collector\n\
               topic read channels/+/publish/+\n";
    std::fs::write(directory.path().join("acl"), acl).expect("a file");
    passwd(&directory.path().join("users"), "collector", "pw");
    let broker = Broker::configured(
        directory,
        "access.allow_anonymous = true\naccess.password_file = \"users\"\naccess.acl_file = \"acl\"\n",
    );
    let port = &broker.port(0);
    let everything = [
        "-t",
        "channels/+/publish/+",
        "-u",
        "collector",
        "-P",
        "pw",
        "-C",
        "1",
    ];
    let collector = subscribe(port, &everything);
    let payload = "field1=22.5&field2=41&status=MQTTPUBLISH";
    publish(port, &["-t", "channels/1417/publish/WRONG", "-m", payload]);
    publish(port, &["-t", "channels/1417/publish/XX2KEY", "-m", payload]);
    let expected = format!("channels/1417/publish/XX2KEY 0 0 {payload}");
    assert_eq!(received(collector), [expected]);
}
