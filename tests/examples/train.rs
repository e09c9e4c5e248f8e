// Trains a language model on `text.txt` and keeps the run in `runs/example`.
use wlstm::job::{Event, Job};

fn main() -> wlstm::error::Result<()> {
    let settings = ["data.train=text.txt", "train.epochs=2"];
    let job = Job::load("configs/text.toml", &settings)?.out("runs/example");
    let outcome = job.run(|event| {
        if let Event::Valid { perplexity, .. } = event {
            println!("validation perplexity {perplexity:.1}");
        }
    })?;
    println!("trained {} steps", outcome.progress.step);
    Ok(())
}
