"""Reason codes as sentences for a person: what happened, and what to do about it."""

from __future__ import annotations

from typing import Final

from firmware_config.face import Reason

AT_THE_DOOR: Final[dict[str, str]] = {
    Reason.GRANTED: "Let in.",
    Reason.UNKNOWN_FACE: "Nobody who is enrolled here looks like this face.",
    Reason.AMBIGUOUS: "Two enrolled people look equally like this face; lower the threshold or enrol better photos.",
    Reason.TOO_DARK: "The face was too dark to tell; look at the light at the door.",
    Reason.TOO_BRIGHT: "The face was too bright to tell; look for a lamp or the sun behind the person.",
    Reason.BLURRED: "The face was blurred; the person moved, or the lens needs cleaning.",
    Reason.TOO_SMALL: "The face was too far from the camera.",
    Reason.TURNED_AWAY: "The person did not look towards the camera.",
    Reason.POOR_PICTURE: "The picture of the face was too poor to compare: noise, haze, or too far away.",
    Reason.NOT_VALID_NOW: "Enrolled, but not for this date.",
    Reason.LOCKED_DOWN: "The door is locked down, so nobody is let in.",
    Reason.UNDER_GUARD: "Somebody has been guessing, so the door asks for a clearer match for a few minutes.",
    Reason.STALE_FRAME: "The camera's picture was too old to decide on; the door's computer is overloaded.",
    Reason.NO_ROSTER: "The door has no list of people yet.",
    Reason.ENCODER_MISMATCH: "The door's list of people belongs to another encoder.",
    Reason.LOCK_OFFLINE: "The lock could not be reached, so it was not opened.",
    Reason.CAMERA_LOST: "The camera gives no picture; check its cable.",
    Reason.INTERNAL_ERROR: "The door's software failed on this picture; its log says how.",
    "guard_raised": "Several near misses of one person in a row: for a few minutes only a clear match opens for them.",
    "camera_back": "The camera gives a picture again.",
    "audit_pruning": "Records of its audit that are older than its settings keep are about to be removed.",
    "roster_refused": "The door did not take the list of people that was sent.",
    "model_refused": "The door did not take the encoder that was sent.",
    "lock_refused": "The lock did not obey; it may belong to another door, or its key is old. Pair it again.",
    "forced_open": "The door was opened and nobody was let in: by force, or with a key. Go and look.",
    "held_open": "The door has been open for too long; close it.",
    "found_open": "The door stood open when its contact was first heard; nobody knows since when.",
    "door_closed": "The door is closed again.",
    "exit_requested": "Somebody inside pressed the exit button.",
    "remote_unlock": "Unlocked from the page.",
    "nobody_there": "Nobody stood before the camera in the last three seconds. Ask the person to look into it, and try "
    "again.",
    "looked_through": "Somebody looked through the camera from the page.",
    "home_assistant_unlock": "Unlocked from Home Assistant.",
    "home_assistant_lock": "Locked from Home Assistant.",
    "stale_command": "The command was late, or the clocks of Home Assistant and the door differ; set both by NTP.",
    "just_connected": "The door had been back at the broker for less than five seconds; ask again.",
    "home_assistant_offline": "The broker says that Home Assistant is gone; its birth message has not come since.",
    "undated_command": "The command did not say when it was given, so it may be from any time; docs/home-assistant.md.",
    "older_generation": "The list is older than the one the door has.",
    "older_version": "The encoder is older than the one the door has run.",
    "bad_signature": "It is not signed by this site.",
    "bad_seal": "It was not sealed for this door, or was changed on the way.",
    "bad_message": "It does not read.",
    "foreign_door": "It is for another door.",
    "too_large": "It is larger than the door reads.",
    "not_a_bundle": "It is not a whole bundle file.",
    "bad_contents": "Its parts do not fit together.",
    "self_test_failed": "The encoder computes something else on the door's hardware than where it was made.",
    "spent_challenge": "The request came too late or twice; try again.",
    "stale_challenge": "The request came too late; try again.",
    "not_allowed": "This door's rule does not allow it.",
}

IN_A_PHOTO: Final[dict[Reason, str]] = {
    Reason.TOO_DARK: "The face is too dark. Turn towards a window or a lamp and take the photo again.",
    Reason.TOO_BRIGHT: "The face is too bright. Step out of direct light and take the photo again.",
    Reason.BLURRED: "The face is blurred. Hold still, clean the lens, and take the photo again.",
    Reason.TOO_SMALL: "The face is too small. Come closer, or take a photo with more pixels.",
    Reason.TURNED_AWAY: "The face is turned away. Look straight into the camera and take the photo again.",
    Reason.POOR_PICTURE: "The picture is too poor to compare. Take another one, closer and in better light.",
}


def at_the_door(code: str) -> str:
    """A reason code of an event or a refusal -> a sentence; an unknown code (a newer door) stands for itself."""
    return AT_THE_DOOR.get(code, f"{code.replace('_', ' ').capitalize()}.")


def in_a_photo(reason: Reason) -> str:
    """Why a photo is not good enough -> what to do."""
    return IN_A_PHOTO.get(reason, f"{at_the_door(reason)} Take another photo.")
