//! What the engine and its threads share: the routes, a mailbox per worker and the output to Python.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use live777_media::command::{Command, CommandError};
use live777_media::event::Event;

use crate::queue::{Mailbox, Notification, Order, Output, Ticket, lock};
use crate::routes::{Routes, Step};
use crate::snapshot::{Gathering, Snapshot};
use crate::socket::UdpSocket;

pub struct Switchboard {
    pub output: Arc<Output>,
    pub mailboxes: Vec<Mailbox>,
    /// The newest counters of each worker.
    remains: Mutex<BTreeMap<usize, Snapshot>>,
    /// Held while the steps of one command are queued, so that all workers see commands in one order.
    routes: Mutex<Routes>,
}

impl Switchboard {
    /// # Errors
    /// What eventfd(2) says.
    pub fn new(workers: usize) -> io::Result<Self> {
        Ok(Self {
            output: Arc::new(Output::new()?),
            mailboxes: (0..workers).map(|_| Mailbox::new()).collect::<io::Result<_>>()?,
            remains: Mutex::default(),
            routes: Mutex::new(Routes::new(workers)),
        })
    }

    /// Queues what `plan` makes of a command. What the routes refuse is answered here and reaches no worker.
    pub fn submit(&self, request: Option<u64>, plan: impl FnOnce(&mut Routes) -> Result<Vec<Step>, CommandError>) {
        self.submit_with(request, Vec::new(), plan);
    }

    /// As `submit`; the sockets go where the command goes, and are closed where it does not arrive.
    pub fn submit_with(
        &self,
        request: Option<u64>,
        sockets: Vec<UdpSocket>,
        plan: impl FnOnce(&mut Routes) -> Result<Vec<Step>, CommandError>,
    ) {
        let ticket = request.map(|request| Ticket::new(request, Arc::clone(&self.output)));
        let mut routes = lock(&self.routes);
        match plan(&mut routes) {
            Ok(steps) => self.deliver(steps, sockets, ticket),
            Err(error) => {
                if let Some(ticket) = ticket {
                    ticket.answer(Err(error));
                }
            }
        }
    }

    /// Asks every worker for its counters, or for its state as text.
    pub fn report(&self, request: u64, as_text: bool) {
        let remains = lock(&self.remains).values().cloned().collect();
        let gathering = Gathering::new(Ticket::new(request, Arc::clone(&self.output)), as_text, remains);
        for mailbox in &self.mailboxes {
            mailbox.push(Order::Report(Arc::clone(&gathering)));
        }
    }

    /// Keeps the counters of a worker for the time after it.
    pub fn remember(&self, snapshot: &Snapshot) {
        lock(&self.remains).insert(snapshot.worker, snapshot.remains());
    }

    /// Forgets an object whose creation its worker refused.
    pub fn take_back(&self, inverse: Command) {
        self.submit(None, |routes| routes.plan(inverse));
    }

    /// A worker has ended before its time: what waits for it is answered, its objects are gone, Python is told.
    pub fn bury(&self, worker: usize, reason: String) {
        self.mailboxes[worker].close();
        let mut routes = lock(&self.routes);
        let (steps, taps) = routes.bury(worker);
        self.deliver(steps, Vec::new(), None);
        drop(routes);
        drop(self.mailboxes[worker].take());
        let ended = taps.into_iter().map(|tap| Notification::Event { event: Event::TapEnded { tap }, local: None });
        self.output.push(ended.chain([Notification::Closed { worker, reason }]));
    }

    fn deliver(&self, steps: Vec<Step>, sockets: Vec<UdpSocket>, ticket: Option<Ticket>) {
        let (mut sockets, mut ticket) = (Some(sockets), ticket);
        for Step { worker, command, asked } in steps {
            let ticket = if asked { ticket.take() } else { None };
            let sockets = if asked { sockets.take() } else { None }.unwrap_or_default();
            self.mailboxes[worker].push(Order::Command { command, sockets, ticket });
        }
    }
}
