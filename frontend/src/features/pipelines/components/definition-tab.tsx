import { useState } from 'react'
import { useSearchParams } from 'react-router'
import { CodeBlock } from '@/components/code-block'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { type Aid, DefinitionEditor } from '@/features/pipelines/components/definition-editor'
import type { Schemas } from '@/lib/api'
import { useHasRole } from '@/store/session'

type Pipeline = Schemas['PipelineDetail']

/** The text of the published version; editing it makes the next one, or a draft. */
export function DefinitionTab({ pipeline, aid }: { pipeline: Pipeline; aid?: Aid }) {
  const [editing, setEditing] = useState(false)
  const [, setSearch] = useSearchParams()
  const mayEdit = useHasRole('editor')
  if (editing) {
    return (
      <DefinitionEditor
        pipelineId={pipeline.id}
        edited={pipeline}
        aid={aid}
        onDone={() => setEditing(false)}
        onDraft={(draft) => setSearch({ tab: 'versions', version: String(draft) })}
      />
    )
  }
  return (
    <Card>
      <CardHeader
        title={`Version ${pipeline.version}`}
        end={
          mayEdit && (
            <Button size="small" onClick={() => setEditing(true)}>
              Edit
            </Button>
          )
        }
      />
      <div className="p-4">
        <CodeBlock
          title={pipeline.source_format === 'yaml' ? 'YAML' : 'JSON'}
          text={pipeline.source}
          lineNumbers
        />
      </div>
    </Card>
  )
}
