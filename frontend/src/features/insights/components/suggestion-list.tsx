import type { Suggestion } from '@/features/insights/api'
import { Choice } from '@/features/insights/components/choice'
import { Tag } from '@/features/insights/components/tag'
import { savingInWords, VALUES } from '@/features/insights/model/words'
import { plural } from '@/lib/format'

type SuggestionListProps = {
  suggestions: Suggestion[]
  chosen: string | null
  onChoose: (id: string) => void
}

export function SuggestionList({ suggestions, chosen, onChoose }: SuggestionListProps) {
  return (
    <ul aria-label="Suggestions" className="divide-y divide-border-soft">
      {suggestions.map((suggestion) => {
        const saving = savingInWords(suggestion)
        return (
          <Choice
            key={suggestion.id}
            chosen={suggestion.id === chosen}
            onChoose={() => onChoose(suggestion.id)}
            top={
              <>
                <Tag {...VALUES[suggestion.value]} />
                <span className="text-muted-foreground">{suggestion.pipeline_name}</span>
                {suggestion.state !== 'open' && (
                  <span className="ml-auto text-secondary-foreground">{suggestion.state}</span>
                )}
              </>
            }
            title={suggestion.title}
          >
            {saving && <span className="block text-secondary-foreground">{saving}</span>}
            {plural(suggestion.executions, 'run')}
          </Choice>
        )
      })}
    </ul>
  )
}
