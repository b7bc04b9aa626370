import { InlineError } from '@/components/feedback'
import type { PlannedRerun } from '@/features/pipelines/use-rerun-plan'

/** What is taken over, what runs and why, and what else is to be known. */
export function RerunPlan({ plan: { plan, message } }: { plan: PlannedRerun }) {
  if (message) return <InlineError>{message}</InlineError>
  if (!plan) return null
  return (
    <div className="rounded-md bg-muted px-3 py-2 text-small">
      <p className="font-medium">{plan.message}</p>
      <p className="mono wrap-text text-muted-foreground">{plan.to_run.join(', ')}</p>
      {plan.runs_too.map(({ stage, reason }) => (
        <p key={stage}>
          <span className="mono">{stage}</span> runs too: {reason}
        </p>
      ))}
      {plan.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </div>
  )
}
