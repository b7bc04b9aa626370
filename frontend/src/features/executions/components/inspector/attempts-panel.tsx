import { StateBadge } from '@/components/state-badge'
import { StageDetail } from '@/features/executions/components/inspector/stage-detail'
import type { Schemas } from '@/lib/api'
import { formatDuration, formatMoment } from '@/lib/format'

type AttemptsPanelProps = { executionId: string; run: Schemas['StageRunBody'] }

/** Every try, the newest first, with its own error. */
export function AttemptsPanel({ executionId, run }: AttemptsPanelProps) {
  return (
    <StageDetail executionId={executionId} run={run}>
      {({ attempts, max_attempts }) =>
        attempts.length === 0 ? (
          <p className="p-4 text-muted-foreground">The stage has not been tried.</p>
        ) : (
          <ol className="divide-y divide-border-soft">
            {attempts
              .toSorted((a, b) => b.attempt - a.attempt)
              .map((attempt) => (
                <li key={attempt.attempt} className="px-4 py-2.5">
                  <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
                    <b className="font-semibold">
                      Attempt {attempt.attempt} of {Math.max(max_attempts, attempts.length)}
                    </b>
                    <StateBadge status={attempt.status} />
                    <span className="text-small text-muted-foreground">
                      {[
                        attempt.started_at && formatMoment(attempt.started_at),
                        attempt.duration_seconds !== null &&
                          formatDuration(attempt.duration_seconds),
                        attempt.worker && `on ${attempt.worker}`,
                      ]
                        .filter(Boolean)
                        .join(', ')}
                    </span>
                  </div>
                  {attempt.error && (
                    <p className="mono wrap-text mt-1.5 rounded-sm bg-state-failed-tint px-2.5 py-1.5 text-small text-state-failed">
                      {attempt.error.message}
                    </p>
                  )}
                </li>
              ))}
          </ol>
        )
      }
    </StageDetail>
  )
}
