//! A publisher, viewers and a network that may be bad.

mod common;

use std::time::Duration;

use common::net::{Link, Net};
use common::publisher::{Media, Stream};
use common::scene::{self, AUDIO, VIDEO, ViewerOptions};
use live777_media::srtp::Profile;

#[test]
fn three_profiles_of_viewers_get_everything() {
    let mut net = Net::new(1, 1);
    let streams =
        vec![(VIDEO, vec![Stream::video(Media::H264, 5000, net.now)]), (AUDIO, vec![Stream::audio(6000, net.now)])];
    let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, streams);
    let profiles = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::AesCm128HmacSha1_80];
    let mut viewers: Vec<_> = (2..)
        .zip(profiles)
        .map(|(id, profile)| scene::view(&mut net, 0, id, ViewerOptions { profile, ..ViewerOptions::default() }))
        .collect();
    scene::run(&mut net, &mut publisher, &mut viewers, 5.0);
    for viewer in &viewers {
        let (video, audio) = (viewer.receiver(0), viewer.receiver(1));
        assert!(video.shown.len() >= 145, "{}", video.shown.len());
        assert!(audio.shown.len() >= 240, "{}", audio.shown.len());
        assert_eq!((video.lost(), audio.lost(), video.repaired), (0, 0, 0));
        assert!(video.longest_gap(net.now) < Duration::from_millis(60));
    }
}
