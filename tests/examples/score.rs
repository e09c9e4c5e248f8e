// Scores a line and continues another with the model of the run in `runs/example`.
use wlstm::job::Trained;

fn main() -> wlstm::error::Result<()> {
    let model = Trained::open("runs/example")?;
    let scores = model.score(&["to be or not to be"])?;
    println!("log-probability {:.2}", scores[0].log_probability);
    println!("{}", model.generate("to be", &Default::default())?);
    Ok(())
}
