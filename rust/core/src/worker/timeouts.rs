//! Deadlines: who is asked when, and what is done then.

use std::time::Instant;

use crate::event::Event;
use crate::timers::Timer;
use crate::track::SILENCE;
use crate::worker::Worker;

impl Worker {
    pub(super) fn run_timers(&mut self, now: Instant) {
        // What becomes due meanwhile is for the next call, so that no deadline can hold the thread.
        for _ in 0..self.timers.len() {
            let Some((at, timer)) = self.timers.pop(now) else { return };
            match timer {
                Timer::Transport(slot) => {
                    let Some(transport) = self.objects.transports.get_mut(slot) else { continue };
                    if transport.scheduled == Some(at) {
                        transport.scheduled = None;
                        self.transport_due(now, slot);
                    }
                }
                Timer::Track(slot) => {
                    let Some(track) = self.objects.tracks.get_mut(slot) else { continue };
                    if track.scheduled == Some(at) {
                        track.scheduled = None;
                        self.track_due(now, slot);
                    }
                }
            }
        }
    }

    pub(super) fn schedule_transport(&mut self, slot: usize) {
        let feedback = self.feedback_deadline(slot);
        let bandwidth = self.bandwidth_deadline(slot);
        let transport = &mut self.objects.transports[slot];
        let deadlines = [transport.agent.poll_timeout(), transport.sender_reports_at, feedback, bandwidth];
        if let Some(at) = deadlines.into_iter().flatten().min() {
            self.timers.schedule(&mut transport.scheduled, Timer::Transport(slot), at);
        }
    }

    pub(super) fn schedule_track(&mut self, now: Instant, slot: usize) {
        let track = &mut self.objects.tracks[slot];
        if let Some(at) = track.next_deadline(now) {
            self.timers.schedule(&mut track.scheduled, Timer::Track(slot), at);
        }
    }

    fn transport_due(&mut self, now: Instant, slot: usize) {
        let agent = &mut self.objects.transports[slot].agent;
        if agent.poll_timeout().is_some_and(|at| at <= now) {
            let outcome = agent.handle_timeout(now);
            self.apply(now, slot, &outcome);
        }
        self.send_feedback(now, slot);
        self.run_bandwidth(now, slot);
        self.send_sender_reports(now, slot);
        self.schedule_transport(slot);
    }

    fn track_due(&mut self, now: Instant, slot: usize) {
        let track = &mut self.objects.tracks[slot];
        if !track.silent && track.heard.is_some_and(|heard| now.saturating_duration_since(heard) >= SILENCE) {
            track.silent = true;
            if !track.is_imported() {
                self.notices.event(Event::TrackSilent { track: track.id });
            }
        }
        if !track.taps.is_empty() {
            self.taps_due(now, slot);
        }
        let track = &mut self.objects.tracks[slot];
        if track.choose_at.is_some_and(|at| at <= now) {
            self.choose(now, slot);
        }
        self.send_key_frame_requests(now, slot);
        self.schedule_track(now, slot);
    }

    /// Chooses the best encoding anew, and asks for a key frame where viewers will change over.
    pub(super) fn choose(&mut self, now: Instant, slot: usize) {
        let track = &mut self.objects.tracks[slot];
        if track.choose(now) {
            self.adapt_viewers(now, slot);
            self.want_key_frames_for_all(now, slot, None);
        }
    }
}
