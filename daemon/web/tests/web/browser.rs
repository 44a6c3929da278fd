//! As much of a browser as the pages need: one cookie, GET, and forms.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::World;

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The hidden confirm code of a confirm page.
    pub fn code(&self) -> String {
        let (_, rest) = self
            .body
            .split_once("name=\"code\" value=\"")
            .expect("a code");
        rest.split_once('"').expect("a code").0.to_owned()
    }

    /// What the confirm button sends.
    pub fn form(&self) -> String {
        let (_, rest) = self.body.split_once("/confirm\">").expect("a form");
        let (fields, _) = rest.split_once("</form>").expect("a form");
        let mut form = form_urlencoded::Serializer::new(String::new());
        for field in fields.split("name=\"").skip(1) {
            let (name, rest) = field.split_once("\" value=\"").expect("a value");
            form.append_pair(name, rest.split_once('"').expect("a value").0);
        }
        form.finish()
    }

    /// A query parameter of the place that this leads to.
    pub fn leads_with(&self, parameter: &str) -> String {
        let location = url::Url::parse(self.header("location").expect("location")).expect("url");
        let found = location.query_pairs().find(|(name, _)| name == parameter);
        found.expect("parameter").1.into_owned()
    }
}

/// One browser.
#[derive(Default)]
pub struct Browser {
    pub cookie: Option<String>,
    /// More headers of every request.
    pub extra: Vec<(&'static str, &'static str)>,
}

impl Browser {
    pub async fn get(&mut self, world: &World, path: &str) -> Reply {
        self.send(world, &format!("GET {path}"), "").await
    }

    pub async fn post(&mut self, world: &World, path: &str, form: &str) -> Reply {
        self.send(world, &format!("POST {path}"), form).await
    }

    /// Opens the start page, leaves for the forge, and comes back with the query that the forge answers with.
    pub async fn agree(&mut self, world: &World) -> String {
        let state = self.leave(world).await;
        let query = format!("?code=abc&state={state}");
        let back = self.get(world, &format!("{}{query}", world.callback)).await;
        assert_eq!(back.status, 303, "{}", back.body);
        query
    }

    /// Opens the start page and leaves for the forge; returns `state`.
    pub async fn leave(&mut self, world: &World) -> String {
        assert_eq!(self.get(world, &world.start).await.status, 200);
        let left = self
            .post(world, &format!("{}/start", world.start), "")
            .await;
        assert_eq!(left.status, 303, "{}", left.body);
        left.leads_with("state")
    }

    async fn send(&mut self, world: &World, line: &str, form: &str) -> Reply {
        let mut head = format!(
            "{line} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n",
            form.len()
        );
        for (name, value) in &self.extra {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(cookie) = &self.cookie {
            head.push_str(&format!("cookie: theme=dark; {cookie}\r\n"));
        }
        let mut stream = TcpStream::connect(world.address).await.expect("connect");
        let request = format!("{head}\r\n{form}");
        stream.write_all(request.as_bytes()).await.expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        self.keep(parse(&answer))
    }

    fn keep(&mut self, reply: Reply) -> Reply {
        if let Some(cookie) = reply.header("set-cookie") {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        reply
    }
}

pub fn parse(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.get(9..12))
        .expect("a status");
    let headers = lines.filter_map(|line| line.split_once(": "));
    Reply {
        status: status.parse().expect("a status"),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}
