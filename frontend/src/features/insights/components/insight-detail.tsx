import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { ExecutionLink } from '@/features/executions/components/execution-link'
import { type Insight, useJudgeInsight } from '@/features/insights/api'
import { describeNumber, wordOfNumber } from '@/features/insights/model/numbers'
import { formatConfidence, formatNumber, RULES } from '@/features/insights/model/words'
import { formatMoment, plural } from '@/lib/format'
import { useHasRole } from '@/store/session'

const SHOWN_EXECUTIONS = 8

/** All that made it an insight: the numbers, the threshold they passed, the executions. */
export function InsightDetail({ insight, back }: { insight: Insight; back: ReactNode }) {
  const shown = insight.executions.slice(0, SHOWN_EXECUTIONS)
  const others = insight.executions.length - shown.length
  return (
    <Card aria-label="The insight">
      <CardHeader
        title={
          <span className="flex items-start gap-2 text-[14px]">
            <Icon name="spark" className="mt-0.5 text-insight" />
            {RULES[insight.rule].word}
          </span>
        }
      />
      {back}
      <div className="flex flex-col gap-3.5 px-4 py-3.5">
        <p>{insight.text}</p>
        <dl className="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-6 gap-y-1.5">
          <Term name="About">
            <span className="mono wrap-text">{insight.subject}</span>
          </Term>
          {insight.pipelines.length > 0 && (
            <Term name={insight.pipelines.length === 1 ? 'Pipeline' : 'Pipelines'}>
              <span className="flex flex-wrap gap-x-3">
                {insight.pipelines.map((id) => (
                  <Link key={id} to={`/pipelines/${id}`} className="text-link hover:underline">
                    {id}
                  </Link>
                ))}
              </span>
            </Term>
          )}
          <Term name="Since">
            {formatMoment(insight.since)}
            {insight.until && ` until ${formatMoment(insight.until)}`}
          </Term>
          <Term name="Score">
            {formatNumber(insight.score)}, had to reach {formatNumber(insight.threshold)}
          </Term>
          <Term name="Confidence">
            {formatConfidence(insight.confidence)} that it is not chance
          </Term>
          {Object.entries(insight.numbers).map(([name, value]) => (
            <Term key={name} name={wordOfNumber(name)}>
              {describeNumber(insight, name, value)}
            </Term>
          ))}
        </dl>
        {shown.length > 0 && (
          <div>
            <h3 className="mb-1 font-semibold">
              Evidence{' '}
              <span className="font-normal text-muted-foreground">
                {plural(insight.executions.length, 'execution')}, the newest first
              </span>
            </h3>
            <p className="flex flex-wrap gap-x-3 gap-y-1">
              {shown.map((id) => (
                <ExecutionLink key={id} id={id} />
              ))}
              {others > 0 && <span className="text-muted-foreground">and {others} more</span>}
            </p>
          </div>
        )}
        <Judgement insight={insight} />
      </div>
    </Card>
  )
}

function Term({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted-foreground">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  )
}

const SAID = { useful: 'You said it was of use.', noise: 'You said it was noise.' }

/** Whether it was worth saying: the thresholds learn from it. */
function Judgement({ insight }: { insight: Insight }) {
  const judge = useJudgeInsight(insight.id)
  const mayJudge = useHasRole('operator')
  if (!mayJudge) return null
  return (
    <div className="border-t border-border-soft pt-2.5">
      <div className="flex flex-wrap items-center gap-2">
        <span className="mr-1 text-small text-secondary-foreground">Was this worth saying?</span>
        {(['useful', 'noise'] as const).map((verdict) => (
          <Button
            key={verdict}
            size="small"
            aria-pressed={insight.verdict === verdict}
            disabled={judge.isPending}
            className={insight.verdict === verdict ? 'border-foreground' : ''}
            onClick={() => judge.mutate(verdict)}
          >
            {verdict === 'useful' ? 'Useful' : 'Noise'}
          </Button>
        ))}
        {insight.state === 'open' && (
          <Button
            size="small"
            className="ml-auto"
            disabled={judge.isPending}
            onClick={() => judge.mutate('seen')}
          >
            Seen
          </Button>
        )}
      </div>
      <p className="mt-1.5 text-small text-muted-foreground">
        {insight.verdict ? `${SAID[insight.verdict]} ` : ''}
        {insight.acknowledged_by
          ? `Seen by ${insight.acknowledged_by}.`
          : 'Noise raises the threshold of this rule for this subject, useful lowers it.'}
      </p>
    </div>
  )
}
