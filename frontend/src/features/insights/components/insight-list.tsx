import type { Insight } from '@/features/insights/api'
import { Choice } from '@/features/insights/components/choice'
import { Tag } from '@/features/insights/components/tag'
import { formatConfidence, RULES } from '@/features/insights/model/words'
import { formatAgo } from '@/lib/format'

type InsightListProps = {
  insights: Insight[]
  chosen: string | null
  onChoose: (id: string) => void
  now: number
}

export function InsightList({ insights, chosen, onChoose, now }: InsightListProps) {
  return (
    <ul aria-label="What is abnormal" className="divide-y divide-border-soft">
      {insights.map((insight) => (
        <Choice
          key={insight.id}
          chosen={insight.id === chosen}
          onChoose={() => onChoose(insight.id)}
          top={
            <>
              <Tag {...RULES[insight.rule]} />
              <span className="mono text-muted-foreground">{insight.subject}</span>
              <span className="ml-auto text-secondary-foreground">
                confidence {formatConfidence(insight.confidence)}
              </span>
            </>
          }
          title={insight.text}
        >
          since {formatAgo(insight.since, now)}
          {insight.until && `, over ${formatAgo(insight.until, now)}`}
        </Choice>
      ))}
    </ul>
  )
}
