//! 604 leaves a message: the dial tone stutters, at the telephone of that number only, until the message is fetched.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::Handset;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{call, longest_gap, wait, with_plain_voice};

#[test]
fn message_waiting_is_heard() {
    let (mut setup, _operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = with_plain_voice;
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    scenario.expect_registered(Duration::from_secs(30));
    scenario.run_for(Duration::from_secs(5));
    scenario.script("a message comes and goes", Duration::from_secs(90), async move {
        assert!(!stutters(&ann).await, "nothing waits yet");
        call(&ann, "604#").await;
        wait(4).await;
        ann.hang_up().await;
        wait(2).await;
        assert!(stutters(&ann).await, "a message waits");
        assert!(!stutters(&bob).await, "not for the other number");
        call(&ann, "604#").await;
        wait(4).await;
        ann.hang_up().await;
        wait(2).await;
        assert!(!stutters(&ann).await, "it was fetched");
    });
}

async fn stutters(phone: &Handset) -> bool {
    phone.lift().await;
    phone.listen(Duration::from_millis(100)).await;
    let heard = phone.listen(Duration::from_millis(800)).await;
    phone.hang_up().await;
    wait(2).await;
    let gap = longest_gap(&heard, phone.sample_rate, 350.0);
    assert!(gap < Duration::from_millis(300), "a dial tone of some kind");
    gap >= Duration::from_millis(60)
}
