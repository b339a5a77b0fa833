//! The markdownview module in Rust: for each request it answers byte for byte what modules/markdownview answers.
//!
//! It needs nothing but Rust's standard library, and no WASI.

mod json;
mod names;
mod status;

use json::{Value, Writer};
use names::{checksum, label_value, name};
use status::Status;

const DEFAULT_IMAGE: &str = "peaceiris/mdbook:latest";
const SUMMARY: &str = "SUMMARY.md";
const MAX_SIZE: usize = 1 << 20;
const PORT_NAME: &str = "http";
const BOOK: &str = "/book";
const USER: i64 = 65532;
const CHECKSUM: &str = "view.example.com/markdowns-checksum";

mod host {
    #[link(wasm_import_module = "wasmloop")]
    extern "C" {
        pub fn request_len() -> usize;
        pub fn request_read(to: *mut u8, offset: usize, length: usize) -> usize;
        pub fn response_write(from: *const u8, length: usize);
        pub fn error(from: *const u8, length: usize);
    }
}

#[no_mangle]
pub extern "C" fn wasmloop_abi_version() -> i32 {
    1
}

#[export_name = "reconcile"]
pub extern "C" fn reconcile_export() -> i32 {
    match read_request().and_then(|request| reconcile(&request)) {
        Ok(response) => {
            unsafe { host::response_write(response.as_ptr(), response.len()) };
            0
        }
        Err(message) => {
            unsafe { host::error(message.as_ptr(), message.len()) };
            1
        }
    }
}

fn read_request() -> Result<String, String> {
    let length = unsafe { host::request_len() };
    let mut buffer = Vec::with_capacity(length);
    unsafe {
        let read = host::request_read(buffer.as_mut_ptr(), 0, length);
        buffer.set_len(read);
    }
    String::from_utf8(buffer).map_err(|_| "the request is not UTF-8".to_string())
}

/// The reconciled object with its defaults.
pub struct View<'a> {
    pub name: &'a str,
    pub markdowns: Vec<(&'a str, &'a str)>,
    pub replicas: i64,
    pub image: &'a str,
    pub checksum: String,
}

impl<'a> View<'a> {
    fn of(object: &'a Value<'a>) -> Result<View<'a>, String> {
        let spec = object.get("spec");
        let replicas = match spec.get("replicas") {
            Value::Null => 1,
            given => given.whole().ok_or("terminal: spec.replicas is no whole number")?,
        };
        let image = match spec.get("viewerImage").text() {
            "" => DEFAULT_IMAGE,
            given => given,
        };
        let mut markdowns: Vec<(&str, &str)> = spec.get("markdowns").members().iter().map(|(key, text)| (key.as_ref(), text.text())).collect();
        markdowns.sort_unstable();
        let checksum = checksum(&markdowns);
        Ok(View { name: object.get("metadata").get("name").text(), markdowns, replicas, image, checksum })
    }

    /// Says why the spec cannot be served, or "".
    fn problem(&self) -> String {
        if !self.markdowns.iter().any(|(key, _)| *key == SUMMARY) {
            return format!("spec.markdowns must have a {}", SUMMARY);
        }
        if self.replicas < 0 {
            return "spec.replicas must not be negative".to_string();
        }
        let size: usize = self.markdowns.iter().map(|(key, text)| key.len() + text.len()).sum();
        if size > MAX_SIZE {
            return format!("spec.markdowns has {} bytes, and a ConfigMap holds {}", size, MAX_SIZE);
        }
        String::new()
    }
}

fn reconcile(request: &str) -> Result<Vec<u8>, String> {
    let request = json::parse(request)?;
    let object = request.get("object");
    let view = View::of(object)?;
    let mut status = Status::new(object.get("metadata").get("generation").whole().unwrap_or(0));
    match deployment(&request, &view)? {
        Value::Null => status.observe_nothing(),
        observed => status.observe(&view, observed),
    }
    let problem = view.problem();
    let mut w = Writer::default();
    w.out.reserve(8 << 10);
    w.object(|w| {
        if problem.is_empty() {
            w.member("children").array(|w| {
                config_map(w, &view);
                deployment_for(w, &view);
                service(w, &view);
            });
            status.write(w);
            return;
        }
        // No opinion on the children: the last good version stays up.
        status.degrade("InvalidSpec", &problem);
        status.write(w);
        w.member("events").array(|w| {
            w.object(|w| {
                w.field("type", "Warning");
                w.field("reason", "InvalidSpec");
                w.field("message", &problem);
            });
        });
    });
    Ok(w.out)
}

/// Returns the observed Deployment, null if there is none.
fn deployment<'a>(request: &'a Value<'a>, view: &View) -> Result<&'a Value<'a>, String> {
    let kind = request.get("children").get("Deployment.apps/v1");
    if let Value::Null = kind {
        let controller = request.get("controller").text();
        return Err(format!(
            "terminal: children of kind Deployment.apps/v1 are not in the request: list the kind under owns in the config of controller {}",
            controller
        ));
    }
    let name = name("viewer", view.name);
    let namespace = request.get("object").get("metadata").get("namespace").text();
    Ok(kind.get(&format!("{}/{}", namespace, name)))
}

fn head(w: &mut Writer, view: &View, api_version: &str, kind: &str, name: &str) {
    w.field("apiVersion", api_version);
    w.field("kind", kind);
    w.member("metadata").object(|w| {
        w.field("name", name);
        labels(w, view, "labels");
    });
}

fn labels(w: &mut Writer, view: &View, member: &str) {
    w.member(member).object(|w| {
        w.field("app.kubernetes.io/instance", &label_value(view.name));
        w.field("app.kubernetes.io/name", "markdownview");
    });
}

fn config_map(w: &mut Writer, view: &View) {
    w.object(|w| {
        head(w, view, "v1", "ConfigMap", &name("markdowns", view.name));
        w.member("data").object(|w| {
            for (key, text) in &view.markdowns {
                w.field(key, text);
            }
        });
    });
}

fn deployment_for(w: &mut Writer, view: &View) {
    w.object(|w| {
        head(w, view, "apps/v1", "Deployment", &name("viewer", view.name));
        w.member("spec").object(|w| {
            w.member("replicas").number(view.replicas);
            w.member("selector").object(|w| labels(w, view, "matchLabels"));
            w.member("template").object(|w| {
                w.member("metadata").object(|w| {
                    labels(w, view, "labels");
                    w.member("annotations").object(|w| w.field(CHECKSUM, &view.checksum));
                });
                w.member("spec").object(|w| pod_spec(w, view));
            });
        });
    });
}

fn pod_spec(w: &mut Writer, view: &View) {
    w.member("automountServiceAccountToken").boolean(false);
    w.member("enableServiceLinks").boolean(false);
    w.member("securityContext").object(|w| {
        w.member("runAsNonRoot").boolean(true);
        w.member("runAsUser").number(USER);
        w.member("runAsGroup").number(USER);
        w.member("fsGroup").number(USER);
        w.member("seccompProfile").object(|w| w.field("type", "RuntimeDefault"));
    });
    w.member("containers").array(|w| w.object(|w| viewer(w, view)));
    w.member("volumes").array(|w| {
        w.object(|w| {
            w.field("name", "book");
            w.member("emptyDir").object(|_| {});
        });
        w.object(|w| {
            w.field("name", "markdowns");
            w.member("configMap").object(|w| w.field("name", &name("markdowns", view.name)));
        });
    });
}

fn viewer(w: &mut Writer, view: &View) {
    w.field("name", "mdbook");
    w.field("image", view.image);
    w.member("command").array(|w| w.string("mdbook"));
    w.member("args").array(|w| ["serve", "--hostname", "0.0.0.0"].iter().for_each(|arg| w.string(arg)));
    w.field("workingDir", BOOK);
    w.member("ports").array(|w| {
        w.object(|w| {
            w.field("name", PORT_NAME);
            w.member("containerPort").number(3000);
            w.field("protocol", "TCP");
        });
    });
    for probe in ["readinessProbe", "livenessProbe"] {
        w.member(probe).object(|w| {
            w.member("httpGet").object(|w| {
                w.field("path", "/");
                w.field("port", PORT_NAME);
            });
        });
    }
    w.member("resources").object(|w| {
        w.member("requests").object(|w| {
            w.field("cpu", "10m");
            w.field("memory", "32Mi");
        });
        w.member("limits").object(|w| w.field("memory", "256Mi"));
    });
    w.member("securityContext").object(|w| {
        w.member("allowPrivilegeEscalation").boolean(false);
        w.member("readOnlyRootFilesystem").boolean(true);
        w.member("capabilities").object(|w| w.member("drop").array(|w| w.string("ALL")));
    });
    w.member("volumeMounts").array(|w| {
        w.object(|w| {
            w.field("name", "book");
            w.field("mountPath", BOOK);
        });
        w.object(|w| {
            w.field("name", "markdowns");
            w.field("mountPath", "/book/src");
            w.member("readOnly").boolean(true);
        });
    });
}

fn service(w: &mut Writer, view: &View) {
    w.object(|w| {
        head(w, view, "v1", "Service", &name("viewer", view.name));
        w.member("spec").object(|w| {
            labels(w, view, "selector");
            w.member("ports").array(|w| {
                w.object(|w| {
                    w.field("name", PORT_NAME);
                    w.member("port").number(80);
                    w.field("targetPort", PORT_NAME);
                    w.field("protocol", "TCP");
                });
            });
        });
    });
}
