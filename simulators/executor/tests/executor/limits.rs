use sockerless_executor::TaskSpec;

use crate::support::with;

/// Doubles a string until memory ends.
const EAT: &str = "x=0123456789abcdef; while :; do x=$x$x; done";

#[tokio::test(flavor = "multi_thread")]
async fn a_task_over_its_memory_limit_is_ended_and_says_so() {
    with(|it| async move {
        if !it.executor.limits().memory {
            println!("not shown: {:?}", it.executor.limits().remarks);
            return;
        }
        let limit = Some(32 * 1024 * 1024);
        let done = it.run(TaskSpec { memory_bytes: limit, ..it.shell_spec(EAT) }).await;
        assert_eq!((done.out_of_memory, done.signal), (true, Some(9)), "{done:?}");
        let done = it.run(TaskSpec { memory_bytes: limit, ..it.shell_spec("kill -9 $$; exit 3") }).await;
        assert!(!done.out_of_memory);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_limit_is_set() {
    with(|it| async move {
        if !it.executor.limits().cpu {
            println!("not shown: {:?}", it.executor.limits().remarks);
            return;
        }
        // Half a processor: a second of work takes two.
        let script = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; cat /proc/self/cgroup";
        let done = it.run(TaskSpec { cpu_millis: Some(500), ..it.shell_spec(script) }).await;
        // The task's own group is the root of what it sees.
        assert!(
            done.text().lines().any(|line| line.contains("cpu") && line.ends_with(":/")),
            "{}",
            done.text()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_remarked() {
    with(|it| async move {
        let limits = it.executor.limits();
        let missing = [limits.memory, limits.cpu, limits.outbound].iter().filter(|held| !**held).count();
        assert_eq!(limits.remarks.len(), missing, "{limits:?}");
        println!("{limits:?}");
    })
    .await;
}
