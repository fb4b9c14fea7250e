//! The forms that bodies have.

use super::shown;
use serde_json::json;

#[tokio::test]
async fn typed_blocks_and_calls_of_functions_are_understood() -> anyhow::Result<()> {
    let text = shown(&[
        json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "x"},
            {"type": "text", "text": "One", "citations": null},
            {"type": "tool_use", "id": "c1", "name": "find", "input": {"q": [1, 2.0]}},
        ]}),
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "two hits"},
            {"type": "tool_result", "tool_use_id": "c9", "is_error": true, "content": [{"type": "text", "text": "no"}, {"type": "text", "text": "way"}]},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}},
            {"type": "document", "title": "Terms", "source": {"type": "url", "url": "https://example.com/terms"}},
        ]}),
        json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [
            {"id": "f1", "type": "function", "function": {"name": "add", "arguments": "{ \"a\": 1 }"}}, {"id": "f2", "type": "custom"},
        ]}),
        json!({"role": "tool", "tool_call_id": "f1", "content": "2\n3"}),
        json!({"role": "tool", "name": "sub", "content": [{"type": "text", "text": ""}]}),
        json!({"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}},
            {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        ]}),
    ])
    .await?;
    assert_eq!(text, TYPED);
    Ok(())
}

const TYPED: &str = r#"
10:30:45  assistant  a  #0
  · reasoning: Hm.
  One
  ▸ find {"q":[1,2.0]}

10:30:46  user  a  #1
  ◂ find ok: two hits
  ◂ c9 error: no way
  [image jpeg, 2 bytes]
  [document Terms, https://example.com/terms]

10:30:47  assistant  a  #2
  ▸ add {"a":1}
  {"id":"f2","type":"custom"}

10:30:48  tool  a  #3
  ◂ add: 2 3

10:30:49  tool  a  #4
  ◂ sub

10:30:50  user  a  #5
  [image png, 5 bytes]
  [image, https://example.com/cat.png]
"#;

#[tokio::test]
async fn what_has_no_known_form_stays_json() -> anyhow::Result<()> {
    let text = shown(&[
        json!({"k": 1, "l": [1.0, {"m": "n"}]}),
        json!({"role": "user", "content": ["text", 5, {"cachePoint": {"type": "default"}}, {"text": 1}, {"type": "new", "text": "t"}, {"toolUse": "x"}]}),
        json!({"role": 7, "content": {"text": "a lone block", "more": true}, "own": "field", "nothing": null}),
        json!({"message": {"role": "user", "content": []}, "redact_message": "text", "own": {"__bytes_encoded__": true, "data": "aGk="}}),
        json!({"role": "user", "content": [{"image": {"source": {"location": "here"}}}, {"video": {"format": "mp4"}}]}),
        json!({"role": "user", "content": {"$serde_json::private::RawValue": "[1"}, "$serde_json::private::Number": "1"}),
        json!({}),
    ])
    .await?;
    assert_eq!(text, OTHER);
    Ok(())
}

const OTHER: &str = r#"
10:30:45  message  a  #0
  {"k":1,"l":[1.0,{"m":"n"}]}

10:30:46  user  a  #1
  text
  5
  {"cachePoint":{"type":"default"}}
  {"text":1}
  {"type":"new","text":"t"}
  {"toolUse":"x"}

10:30:47  message  a  #2
  a lone block
  {"more":true}
  {"role":7,"own":"field"}

10:30:48  user  a  #3
  {"redact_message":"text","own":[2 bytes]}

10:30:49  user  a  #4
  [image, {"location":"here"}]
  {"video":{"format":"mp4"}}

10:30:50  user  a  #5
  {"$serde_json::private::RawValue":"[1"}
  {"$serde_json::private::Number":"1"}

10:30:51  message  a  #6
"#;
