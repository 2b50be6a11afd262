//! The filter's program, in the kernel's classic BPF.

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_USER_NOTIF, sock_filter,
};

/// `AUDIT_ARCH_X86_64` of `linux/audit.h`.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
/// `AUDIT_ARCH_AARCH64` of `linux/audit.h`.
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Calls of the x32 flavour have this bit (`__X32_SYSCALL_BIT`); elsewhere no number is as large.
const FOREIGN: u32 = 0x4000_0000;

/// Caught always.
pub(crate) const ALWAYS: [i64; 8] = [
    libc::SYS_connect,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_bind,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
];
/// Caught when an address comes with them, as the fifth argument: `send` and `recv` pass.
pub(crate) const ADDRESSED: [i64; 2] = [libc::SYS_sendto, libc::SYS_recvfrom];

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIFTH_LOW: u32 = 16 + 4 * 8;
const FIFTH_HIGH: u32 = FIFTH_LOW + 4;

/// Catches the calls above of the native architecture; everything else passes.
pub(crate) fn program() -> Vec<sock_filter> {
    // From the end, so that each jump knows how far it goes.
    let mut reversed = vec![returns(SECCOMP_RET_USER_NOTIF), returns(SECCOMP_RET_ALLOW)];
    let (notify, allow) = (0, 1);
    let push = |reversed: &mut Vec<sock_filter>, instruction| {
        reversed.push(instruction);
        reversed.len() - 1
    };
    // One more instruction is about to stand before: a jump to the one at `target`.
    let jump = |reversed: &[sock_filter], kind, value, yes: Option<usize>, no: Option<usize>| {
        let distance = |target: Option<usize>| target.map_or(0, |target| reversed.len() - 1 - target) as u8;
        sock_filter { code: (BPF_JMP | kind | BPF_K) as u16, jt: distance(yes), jf: distance(no), k: value }
    };
    let instruction = jump(&reversed, BPF_JEQ, 0, Some(allow), Some(notify));
    push(&mut reversed, instruction);
    push(&mut reversed, loads(FIFTH_HIGH));
    let instruction = jump(&reversed, BPF_JEQ, 0, None, Some(notify));
    push(&mut reversed, instruction);
    let addressed = push(&mut reversed, loads(FIFTH_LOW));
    push(&mut reversed, returns(SECCOMP_RET_ALLOW));
    for (calls, target) in [(&ADDRESSED[..], addressed), (&ALWAYS[..], notify)] {
        for call in calls.iter().rev() {
            let instruction = jump(&reversed, BPF_JEQ, *call as u32, Some(target), None);
            push(&mut reversed, instruction);
        }
    }
    let instruction = jump(&reversed, BPF_JGE, FOREIGN, Some(allow), None);
    push(&mut reversed, instruction);
    push(&mut reversed, loads(NUMBER));
    let instruction = jump(&reversed, BPF_JEQ, ARCHITECTURE, None, Some(allow));
    push(&mut reversed, instruction);
    push(&mut reversed, loads(ARCH));
    reversed.reverse();
    reversed
}

fn loads(offset: u32) -> sock_filter {
    sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

fn returns(action: u32) -> sock_filter {
    sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: action }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kernel does with the program, for the instructions it has.
    fn run(program: &[sock_filter], arch: u32, number: u32, fifth: u64) -> u32 {
        let (mut place, mut value) = (0, 0);
        loop {
            let instruction = program[place];
            place += 1;
            match u32::from(instruction.code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => {
                    value = match instruction.k {
                        NUMBER => number,
                        ARCH => arch,
                        FIFTH_LOW => fifth as u32,
                        FIFTH_HIGH => (fifth >> 32) as u32,
                        offset => unreachable!("offset {offset}"),
                    }
                }
                code if code & 7 == BPF_JMP => {
                    let holds =
                        if code & 0xf0 == BPF_JEQ { value == instruction.k } else { value >= instruction.k };
                    place += usize::from(if holds { instruction.jt } else { instruction.jf });
                }
                code if code & 7 == BPF_RET => return instruction.k,
                code => unreachable!("code {code}"),
            }
        }
    }

    proptest! {
        #[test]
        fn exactly_the_named_calls_of_the_native_architecture_are_caught(
            arch in prop_oneof![Just(ARCHITECTURE), any::<u32>()],
            number in prop_oneof![0_u32..500, any::<u32>()],
            fifth in prop_oneof![Just(0_u64), Just(1 << 32), Just(1), any::<u64>()],
        ) {
            let named = ALWAYS.contains(&i64::from(number))
                || ADDRESSED.contains(&i64::from(number)) && fifth != 0;
            let expected = if arch == ARCHITECTURE && named { SECCOMP_RET_USER_NOTIF } else { SECCOMP_RET_ALLOW };
            prop_assert_eq!(run(&program(), arch, number, fifth), expected);
        }
    }

    #[test]
    fn a_call_of_the_x32_flavour_passes() {
        let number = FOREIGN | libc::SYS_connect as u32;
        assert_eq!(run(&program(), ARCHITECTURE, number, 0), SECCOMP_RET_ALLOW);
    }
}
